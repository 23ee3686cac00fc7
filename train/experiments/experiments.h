// The experiments by model, for make_experiment() (train/experiment.h).
#pragma once
#include "train/experiment.h"

AdamOptions adam_options(const Recipe& recipe);

std::unique_ptr<Experiment> make_toy(const Recipe& recipe, int stage);
std::unique_ptr<Experiment> make_dcgan(const Recipe& recipe);
std::unique_ptr<Experiment> make_dcgan_simclr(const Recipe& recipe);
std::unique_ptr<Experiment> make_simclr(const Recipe& recipe);
std::unique_ptr<Experiment> make_vae(const Recipe& recipe, int stage);
std::unique_ptr<Experiment> make_vaegan(const Recipe& recipe, int stage);
