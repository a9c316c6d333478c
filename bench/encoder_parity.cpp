// Hidden states and gradients of a directory's transformer, for bench/peers/encoder_parity.py:
//   build/encoder_parity DIR IN OUT
// IN: safetensors with ids, types i64 [T], offsets i64 [B + 1], weights f32 [T, H]. OUT: hidden [T, H], and under the
// names of DIR's tensors the gradients of sum(hidden * weights).
//   build/encoder_parity --save DIR OUT: DIR's text encoder loaded and saved again, with its MLM head if it has one.
#include <cstdio>
#include <map>

#include "core/program.h"
#include "models/text_encoder.h"
#include "ops/binary.h"
#include "ops/reduce.h"

namespace winnow {
namespace {

Tensor places(const Tensor& offsets, int64_t tokens) {
  Tensor t(TensorSpec{DType::I64, {tokens}});
  const auto o = offsets.span<int64_t>();
  for (size_t b = 1; b < o.size(); ++b)
    for (int64_t i = o[b - 1]; i < o[b]; ++i) t.data<int64_t>()[i] = i - o[b - 1];
  return t;
}

int run(const std::string& directory, const std::string& in, const std::string& out) {
  const PretrainedConfig config = read_pretrained_config(directory);
  const std::vector<TensorLink> links = transformer_links(config);
  const std::string path = pretrained_tensors_path(directory);
  const PretrainedTensors published(SafeTensors::open(path), path, config, links);
  TransformerEncoder transformer(config.transformer);
  std::map<std::string, VariablePtr> parameters;
  for (const Parameter& p : transformer.parameters()) parameters[p.name()] = p.variable;
  for (const TensorLink& link : links) published.copy_to(link, parameters.at(link.ours)->value);

  const SafeTensors input = SafeTensors::open(in);
  const Tensor ids = input.at("ids"), types = input.at("types"), offsets = input.at("offsets"),
               weights = input.at("weights");
  Graph g;
  TokenInputs tokens{g.input("ids", ids.spec()), g.input("types", types.spec()), g.input("positions", ids.spec()),
                     g.input("offsets", offsets.spec())};
  if (config.transformer.type_vocab_size == 0) tokens.types = {};
  const Value hidden = transformer(tokens, {});
  g.backward(sum(mul(hidden, g.input("weights", weights.spec()))));
  g.output("hidden", hidden);
  for (const TensorLink& link : links)
    if (const Value gradient = g.gradient(g.persistent(parameters.at(link.ours)))) g.output(link.ours, gradient);
  Program program = compile(g);
  const auto stream = make_stream({});
  const Tensor feeds[] = {ids, types, places(offsets, ids.numel()), offsets, weights};
  program.run(feeds, *stream);
  std::vector<NamedTensor> results = {{"hidden", program.output("hidden")}};
  for (const TensorLink& link : links)
    if (g.outputs().contains(link.ours)) append_pretrained(config, link, program.output(link.ours), false, results);
  save_safetensors(out, results);
  return 0;
}

int save(const std::string& directory, const std::string& out) {
  TextEncoder encoder(published_encoder_options(directory));
  encoder.initialize(0);
  MlmHead head(encoder.options().transformer);
  head.initialize(0);
  const bool has_head = encoder.load_mlm_head(head);
  encoder.save(out, has_head ? &head : nullptr);
  return 0;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: encoder_parity DIR IN OUT | --save DIR OUT\n", stderr);
    return 2;
  }
  try {
    return std::string(argv[1]) == "--save" ? winnow::save(argv[2], argv[3]) : winnow::run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "encoder_parity: %s\n", e.what());
    return 1;
  }
}
