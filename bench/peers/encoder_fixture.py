"""The hidden states that tests/pretrained_test.cpp expects: python bench/peers/encoder_fixture.py
Tiny models of transformers whose parameter number k (in the order of their sorted names) holds 0.5 sin(0.7 i + k)."""
import torch, transformers as t

base = dict(vocab_size=9, hidden_size=4, num_hidden_layers=2, num_attention_heads=2, intermediate_size=6)
models = {
    "bert": t.BertModel(t.BertConfig(**base, max_position_embeddings=5), add_pooling_layer=False),
    "roberta": t.RobertaModel(t.RobertaConfig(**base, max_position_embeddings=7, type_vocab_size=1, layer_norm_eps=1e-5),
                              add_pooling_layer=False),
    "distilbert": t.DistilBertModel(t.DistilBertConfig(vocab_size=9, dim=4, n_layers=2, n_heads=2, hidden_dim=6,
                                                       max_position_embeddings=5)),
    "gpt2": t.GPT2Model(t.GPT2Config(vocab_size=9, n_embd=4, n_layer=2, n_head=2, n_inner=6, n_positions=5))}
for name, model in models.items():
    for k, (_, p) in enumerate(sorted(model.named_parameters())):
        p.data = (.5 * torch.sin(.7 * torch.arange(p.numel(), dtype=torch.float64) + k)).float().reshape(p.shape)
    model.eval()
    extra = {"token_type_ids": torch.tensor([[0, 0, 1]])} if name == "bert" else {}
    with torch.no_grad(): hidden = model(torch.tensor([[3, 8, 5]]), **extra).last_hidden_state.flatten().tolist()
    print(f'{{"{name}", {{{", ".join(f"{x:.7g}f" for x in hidden)}}}}},')
