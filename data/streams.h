// The `step` of the Key (kernels/device/philox.h) of every stream of random numbers outside training steps. They
// stand in one place so that no two are equal. Training steps count from 1.
#pragma once
#include <cstdint>

namespace dae {

enum RandomStream : uint32_t {
  // Initial weights. The toy study trains nothing with its own seed and draws the seeds of its runs here.
  kInitStep = 0,
  // The following numbers are larger than the number of any training step.
  kToyMapStep = 0xD0000000,
  kToyDataStep = 0xD1000000,
  kProceduralStep = 0xD2000000,           // pictures of data.kind procedural
  kPlanStep = 0xFFFFFFF6,                 // the batch of train --plan
  kCropStep = 0xFFFFFFF7,                 // data.crop
  kPairStep = 0xFFFFFFF8,                 // pairs of inspect lipschitz
  kProbeStep = 0xFFFFFFF9,                // examples of the probe
  kAugmentStep = 0xFFFFFFFA,              // data.augment
  kSecondDiscriminatorStep = 0xFFFFFFFB,  // schedule.discriminator fresh
  kOrderStep = 0xFFFFFFFC,                // data.shuffle
  kSecondDecoderStep = 0xFFFFFFFD,        // the full decoder after a width switch
  kFlipStep = 0xFFFFFFFE,                 // data.flip
  kPictureStep = 0xFFFFFFFF,              // noise of samples
};

}  // namespace dae
