// A SimCLR encoder that another model reads through: its weights come from a finished run and never change.
#pragma once
#include <memory>

#include "models/simclr.h"
#include "train/recipe.h"

// The encoder that model.encoder names, on the recipe's device and in its dtype, frozen and in eval mode. Its
// width is the file's. Fault::usage if model.z_dim is not the size of its projection or if its weights are
// not those of model.encoder_hash; Fault::data if they are not a SimCLR's.
std::unique_ptr<Simclr> load_encoder(const Recipe& recipe);

// CRC-32 of those weights and their names, whatever else the file holds: 8 hexadecimal digits.
std::string encoder_hash(const Recipe& recipe);
