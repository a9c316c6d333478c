// One factory per model; each .cpp names its paper.
#pragma once
#include "models/ctr.h"

namespace winnow {

std::unique_ptr<CtrModel> make_lr(const CtrSpec& spec, const CtrOptions& options);
std::unique_ptr<CtrModel> make_fm(const CtrSpec& spec, const CtrOptions& options);
std::unique_ptr<CtrModel> make_dnn(const CtrSpec& spec, const CtrOptions& options);
std::unique_ptr<CtrModel> make_user_item_mlp(const CtrSpec& spec, const CtrOptions& options);
std::unique_ptr<CtrModel> make_wide_deep(const CtrSpec& spec, const CtrOptions& options);
std::unique_ptr<CtrModel> make_deepfm(const CtrSpec& spec, const CtrOptions& options);
std::unique_ptr<CtrModel> make_dcnv2(const CtrSpec& spec, const CtrOptions& options);
std::unique_ptr<CtrModel> make_dlrm(const CtrSpec& spec, const CtrOptions& options);

}  // namespace winnow
