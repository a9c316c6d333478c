// What `winnow inspect` tells about a directory in the layout of transformers or sentence-transformers.
#pragma once
#include <string>

namespace winnow {

bool is_encoder_directory(const std::string& path);
// Architecture, sizes, pooling, tokenizer, and the tensors with our names beside those in the file. A tokenizer that
// cannot be read is told as such; errors as models/published_encoder.h and nn/pretrained.h.
std::string inspect_encoder(const std::string& directory, bool json);

}  // namespace winnow
