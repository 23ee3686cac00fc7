// A SimCLR encoder inside another model. Its weights come from a finished run and never change.
#pragma once
#include <memory>

#include "models/simclr.h"
#include "train/recipe/recipe.h"

namespace dae {

// Returns the encoder that model.encoder names, on the recipe's device and in its dtype, frozen and in eval
// mode. The file decides its width. Throws Fault::usage if model.z_dim is not the size of its projection or
// if its weights do not match model.encoder_hash; Fault::data if they are not the weights of a SimCLR.
std::unique_ptr<Simclr> load_encoder(const Recipe& recipe);

// Returns the CRC-32 of those weights and their names as 8 hexadecimal digits. The rest of the file has no
// effect.
std::string encoder_hash(const Recipe& recipe);

}  // namespace dae
