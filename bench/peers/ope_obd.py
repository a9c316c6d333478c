"""Off-policy evaluation of the Open Bandit Dataset's small sample (campaign all, random -> Bernoulli TS) in numpy and
scikit-learn, by the formulas of Saito et al. 2020, and the three files that `winnow ope` reads for the same.

    pip download --no-deps obp==0.4.1 && unzip -p obp-0.4.1-py3-none-any.whl obp/policy/conf/prior_bts.yaml > prior_bts.yaml
    python bench/peers/ope_obd.py --data ../shared/data/obd --prior prior_bts.yaml --out data_cache/obd

Writes log.csv, items.csv (the dataset's tables with a name for their first column) and policy.csv: the probability of each
item at each position, from 100,000 draws of the production prior with the generator and the seed of the published
notebook; and notebook_log.csv, notebook_items.csv: features and folds as that notebook has them. Needs numpy, pandas, scikit-learn, pyyaml and the program zstd."""
import argparse
import io
import os
import subprocess

import numpy as np
import pandas as pd
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.preprocessing import LabelEncoder


def policy_of(prior, items, positions, draws=100000, seed=12345):
    random = np.random.RandomState(seed)
    alpha, beta = np.array(prior["alpha"]), np.array(prior["beta"])
    counts = np.zeros((items, positions))
    for _ in range(draws):
        ranking = random.beta(a=alpha, b=beta).argsort()[::-1][:positions]
        counts[ranking, np.arange(positions)] += 1
    return counts / draws


def model_estimates(log, policy, context, item_features, folds, **model):
    action, reward, position = log.item_id.values, log.click.values, log.position.values - 1
    n, (items, positions) = len(log), policy.shape
    q = np.zeros((n, items))
    everything = [(np.arange(n), np.arange(n))]
    splits = everything if folds == 1 else KFold(folds, shuffle=True, random_state=12345).split(context)
    for train, test in splits:
        for p in range(positions):
            rows, out = train[position[train] == p], test[position[test] == p]
            fitted = LogisticRegression(**model).fit(np.c_[context[rows], item_features[action[rows]]], reward[rows])
            for a in range(items):
                q[out, a] = fitted.predict_proba(np.c_[context[out], np.tile(item_features[a], (len(out), 1))])[:, 1]
    weight = policy[action, position] / log.propensity_score.values
    direct = (q * policy.T[position]).sum(axis=1)
    return direct.mean(), (direct + weight * (reward - q[np.arange(n), action])).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "prior", "out"):
        parser.add_argument("--" + name, required=True)
    args = parser.parse_args()
    folder = os.path.join(args.data, "random", "all")
    packed = subprocess.run(["zstd", "-dc", os.path.join(folder, "all.csv.zst")], check=True, capture_output=True).stdout
    log = pd.read_csv(io.BytesIO(packed), index_col=0).sort_values("timestamp", kind="stable")
    items = pd.read_csv(os.path.join(folder, "item_context.csv"), index_col=0)
    with open(args.prior) as file:
        policy = policy_of(yaml.safe_load(file)["all"], len(items), 3)

    os.makedirs(args.out, exist_ok=True)
    log.to_csv(os.path.join(args.out, "log.csv"), index=False)
    items.to_csv(os.path.join(args.out, "items.csv"), index=False)
    table = [(a, p + 1, policy[a, p]) for p in range(3) for a in range(len(items))]
    pd.DataFrame(table, columns=["action", "position", "probability"]).to_csv(os.path.join(args.out, "policy.csv"), index=False)

    weight = policy[log.item_id.values, log.position.values - 1] / log.propensity_score.values
    reward = log.click.values
    print(f"ips   {(weight * reward).mean():.9f}")
    print(f"snips {(weight * reward).sum() / weight.sum():.9f}")

    users = log.columns[log.columns.str.startswith("user_feature")]
    categories = items[["item_feature_1", "item_feature_2", "item_feature_3"]]
    one_hot = pd.get_dummies(log[users]).values.astype(float)
    items_one_hot = np.c_[items.item_feature_0.values, pd.get_dummies(categories).values.astype(float)]
    # as the published notebook has them: codes of categories as numbers, the first of each user category left out
    dropped = pd.get_dummies(log[users], drop_first=True).values.astype(float)
    coded = np.c_[categories.apply(LabelEncoder().fit_transform).values, items.item_feature_0.values]
    folds = np.zeros(len(log), int)
    for fold, (_, test) in enumerate(KFold(3, shuffle=True, random_state=12345).split(dropped)):
        folds[test] = fold
    played = log[["item_id", "position", "click", "propensity_score"]].reset_index(drop=True).assign(fold=folds)
    context = pd.DataFrame(dropped.astype(int), columns=[f"user_{i}" for i in range(dropped.shape[1])])
    pd.concat([played, context], axis=1).to_csv(os.path.join(args.out, "notebook_log.csv"), index=False)
    coded_items = pd.DataFrame(coded, columns=[f"feature_{i}" for i in range(coded.shape[1])])
    coded_items.insert(0, "item_id", items.item_id.values)
    coded_items.to_csv(os.path.join(args.out, "notebook_items.csv"), index=False)

    converged = dict(solver="newton-cholesky", tol=1e-12, max_iter=1000)
    for name, context, item_features, folds, model in [
            ("indicators, converged, no cross-fitting", one_hot, items_one_hot, 1, converged),
            ("indicators, converged, 3 folds", one_hot, items_one_hot, 3, converged),
            ("codes, 100 iterations, no cross-fitting", dropped, coded, 1, {}),
            ("codes, 100 iterations, 3 folds", dropped, coded, 3, {}),
            ("codes, converged, no cross-fitting", dropped, coded, 1, converged),
            ("codes, converged, 3 folds", dropped, coded, 3, converged)]:
        dm, dr = model_estimates(log, policy, context, item_features, folds, **model)
        print(f"dm {dm:.9f}  dr {dr:.9f}  {name}", flush=True)


if __name__ == "__main__":
    main()
