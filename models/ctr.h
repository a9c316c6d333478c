// Click models: from feature ids and numbers to one logit a row. Each is a plain composition of nn modules and
// feature interactions; the factory knows them by the name of their paper.
#pragma once
#include <any>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "nn/embedding.h"
#include "nn/layers.h"

namespace winnow {

// What a model must know about the data.
struct CtrSpec {
  struct Field {
    std::string name;
    int64_t rows = 0;  // vocabulary, PAD and OOV included
    Pooling pooling = Pooling::Mean;
    int64_t dim = 0;  // width of its embedding; 0: that of the model
    int shares = -1;  // the field whose table it uses; -1: its own
  };
  std::vector<Field> fields;
  int64_t dense = 0;    // floats of a row
  int64_t vectors = 0;  // embeddings of a row that come ready-made, beside those of the fields (CtrInputs::vectors)
  int user_field = -1;  // index into fields; -1: none
  int item_field = -1;
};

struct CtrOptions {
  std::string name = "DeepFM";
  int64_t embedding_dim = 16;
  double embedding_init_std = 1e-4;
  DType embedding_dtype = DType::F32;
  int64_t embedding_cache_rows = 0;  // rows of each table on the device, the others in host memory; 0: all of them
  CachePolicy embedding_cache_policy = CachePolicy::Lru;
  std::shared_ptr<RowCaches> caches = nullptr;  // made of these by make_ctr_model()
  std::vector<int64_t> hidden_units = {256, 128, 64};
  std::string hidden_activation = "relu";
  double net_dropout = 0;
  bool batch_norm = false;
  int num_cross_layers = 3;                            // DCNv2
  std::vector<int64_t> bottom_units = {512, 256, 64};  // DLRM: the numeric tower before its last layer of embedding_dim
  std::any own = {};  // what CtrModelDef::read returned; empty for a baseline of another model
};

CtrOptions read_ctr_options(const ConfigNode& model);  // the `model:` section of a config. ConfigError

struct CtrInputs {
  Value ids = {};      // i64 [B, F], or [capacity] with offsets
  Value offsets = {};  // i64 [B * F + 1]; empty when every feature has one id
  Value dense = {};    // f32 [B, D]; empty when D = 0
  Value vectors = {};  // f32 [B, CtrSpec::vectors, embedding_dim]; empty when there are none
};

class CtrModel : public Module {
 public:
  virtual Value logits(const CtrInputs& in, const StepContext& context) const = 0;  // [B]
};

// A model of the program's own.
struct CtrModelDef {
  std::string name;  // model.name in configs
  std::function<std::unique_ptr<CtrModel>(const CtrSpec&, const CtrOptions&)> make;
  // Reads keys of the model's own from the `model:` section into CtrOptions::own; not called for other models, to which
  // the keys are unknown. May be empty.
  std::function<std::any(const ConfigNode& model)> read = {};
};
// From here on the name works wherever a config or a command takes one. At the start of the program, while no other
// thread makes models. ConfigError: a name that is taken or empty; no factory.
void register_model(CtrModelDef def);
const CtrModelDef* find_registered_model(const std::string& name);  // nullptr: one of ours, or none

// ConfigError: an unknown name (lists the known ones), a feature the model needs and the data lacks; a cache for a
// model that has no table with one.
std::unique_ptr<CtrModel> make_ctr_model(const CtrSpec& spec, const CtrOptions& options);
const std::vector<std::string>& ctr_model_names();

}  // namespace winnow
