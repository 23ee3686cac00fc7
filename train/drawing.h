// The DAE schedule as two drawings for a report: what learns in each stage, and what rests.
#pragma once
#include <vector>

#include "train/report.h"

std::vector<Drawing> dae_drawings();
inline constexpr const char* kDaeSentence =
    "A decoupled autoencoder (DAE) first trains its encoder beside a decoder that is too weak to make up for "
    "a "
    "poor latent, then freezes the encoder and trains a full decoder on the latents it has learned.";
