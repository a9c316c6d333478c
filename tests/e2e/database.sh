#!/usr/bin/env bash
# PostgreSQL as a source: a private cluster, killed in the middle of a conversion, which then goes on and ends with the
# bytes of an undisturbed one. Usage: database.sh BUILD_DIR. Exit code 77: skipped, PostgreSQL is not installed.
set -euo pipefail
build=$(realpath "$1")
programs=
for candidate in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /none/initdb)")"; do
  [[ -x $candidate/initdb && -x $candidate/psql ]] && programs=$candidate && break
done
if [[ -z $programs ]]; then
  echo "SKIPPED: database.sh ran NOTHING: PostgreSQL is not installed (scripts/install_packages.sh --tests)" >&2
  exit 77
fi
work=$(mktemp -d)
as_user=()
if [[ $(id -u) -eq 0 ]]; then  # the server refuses to run as root
  as_user=(runuser -u postgres --)
  chown postgres "$work"
fi
server() { (cd "$work" && "${as_user[@]}" "$programs/pg_ctl" -D "$work/cluster" -w -t 600 -s "$@"); }
sql() { (cd "$work" && "${as_user[@]}" "$programs/psql" -h "$work" -d postgres -v ON_ERROR_STOP=1 -q -c "$1"); }
trap 'server stop -m immediate >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; [[ -f $work/err ]] && tail -5 "$work/err"; exit 1; }

(cd "$work" && "${as_user[@]}" "$programs/initdb" -D "$work/cluster" -A trust -U postgres -E UTF8 --locale=C >/dev/null)
options="-c listen_addresses='' -c unix_socket_directories='$work' -c fsync=off"
server start -l "$work/log" -o "$options"
sql "CREATE TABLE clicks AS SELECT id, 'user ' || id % 977 AS user_id, id % 3 = 0 AS clicked, (id % 1000) / 8.0 AS price,
     0.1::float8 * id AS score, CASE WHEN id % 5 > 0 THEN 'a \"quoted\", text' END AS note FROM generate_series(1, 150000) id;
     ALTER TABLE clicks ADD PRIMARY KEY (id);
     CREATE TABLE gate(seconds float8); INSERT INTO gate VALUES(0)"

# the password means nothing to this server; no message may show it
source="host=$work user=postgres dbname=postgres password=hunter2"
convert() { "$build/winnow" data convert "$source" --out "$@" 2>"$work/err"; }

# cells as they should be
convert "$work/first.csv" --query "SELECT * FROM clicks WHERE id <= 5 ORDER BY id;" >/dev/null || fail "a plain query"
cat >"$work/expected.csv" <<'ROWS'
id,user_id,clicked,price,score,note
1,user 1,0,0.12500000000000000000,0.1,"a ""quoted"", text"
2,user 2,0,0.25000000000000000000,0.2,"a ""quoted"", text"
3,user 3,1,0.37500000000000000000,0.30000000000000004,"a ""quoted"", text"
4,user 4,0,0.50000000000000000000,0.4,"a ""quoted"", text"
5,user 5,0,0.62500000000000000000,0.5,
ROWS
cmp "$work/first.csv" "$work/expected.csv" || fail "the cells of a query"

for ending in csv jsonl.zst; do
  convert "$work/whole.$ending" --table clicks --key id >/dev/null || fail "an undisturbed conversion"
  # the same rows, of which one waits at the gate until the server is killed: so there is a middle
  slow="SELECT * FROM clicks WHERE id <> 120000 OR pg_sleep((SELECT seconds FROM gate)) IS NOT NULL"
  sql "UPDATE gate SET seconds = 3600"
  convert "$work/cut.$ending" --query "$slow" --key id >/dev/null &
  running=$!
  until grep -q '"rows":65536' "$work/cut.$ending.state" 2>/dev/null; do
    kill -0 $running || fail "the conversion was over before the server could be killed"
    sleep 0.05
  done
  server stop -m immediate
  code=0; wait $running || code=$?
  [[ $code -eq 1 ]] || fail "exit code $code when the server was killed"
  grep -q 'the connection was lost' "$work/err" || fail "no message that the connection was lost"
  grep -q -- '--resume goes on after them' "$work/err" || fail "no message that --resume goes on"
  [[ -f $work/cut.$ending.part && -f $work/cut.$ending.state && ! -e $work/cut.$ending ]] || fail "part and state are not in place"
  code=0; convert "$work/cut.$ending" --query "$slow" --key id --resume >/dev/null || code=$?
  [[ $code -eq 1 ]] && grep -q 'no connection' "$work/err" || fail "no message while the server is away"
  grep -q hunter2 "$work/err" && fail "a message shows the password"
  [[ -f $work/cut.$ending.part ]] || fail "the part was lost while the server was away"
  server start -l "$work/log" -o "$options"
  sql "UPDATE gate SET seconds = 0"
  convert "$work/cut.$ending" --query "$slow" --key id --resume >/dev/null || fail "resuming"
  grep -q 'went on after 65536 rows' "$work/err" || fail "did not go on after 65536 rows"
  cmp "$work/whole.$ending" "$work/cut.$ending" || fail "the resumed file differs"
  [[ ! -e $work/cut.$ending.part && ! -e $work/cut.$ending.state ]] || fail "part or state left behind"
done
code=0; convert "$work/x.csv" --table clicks_ >/dev/null || code=$?
[[ $code -eq 1 ]] && grep -q 'relation "clicks_" does not exist' "$work/err" || fail "an unknown table"
echo "database: killed in the middle and resumed, the same bytes"
