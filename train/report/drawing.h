// Two drawings of the DAE schedule for a report: which part learns in each stage, and which is frozen.
#pragma once
#include <vector>

#include "train/report/report.h"

namespace dae {

std::vector<Drawing> dae_drawings();
inline constexpr const char* kDaeSentence =
    "A decoupled autoencoder (DAE) first trains its encoder beside a decoder that is too weak to make up for "
    "a "
    "poor latent, then freezes the encoder and trains a full decoder on the latents it has learned.";

}  // namespace dae
