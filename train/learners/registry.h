// The experiments of the models; make_experiment() (train/learners/learner.h) chooses among them.
#pragma once
#include "train/learners/learner.h"

namespace dae {

// Returns the optimizer's options that the recipe asks for.
AdamOptions adam_options(const Recipe& recipe);

std::unique_ptr<Experiment> make_toy(const Recipe& recipe, int stage);
std::unique_ptr<Experiment> make_dcgan(const Recipe& recipe);
std::unique_ptr<Experiment> make_dcgan_simclr(const Recipe& recipe);
std::unique_ptr<Experiment> make_simclr(const Recipe& recipe);
std::unique_ptr<Experiment> make_vae(const Recipe& recipe, int stage);
std::unique_ptr<Experiment> make_vaegan(const Recipe& recipe, int stage);

}  // namespace dae
