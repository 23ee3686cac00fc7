// A recipe: everything that decides a run, read from TOML. Unknown keys are errors that name the nearest
// known one.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/memory.h"

struct Recipe {
  uint64_t seed = 0;
  std::string dtype = "f32";    // compute type: "f32", "f64" (CPU), "bf16" or "f16" (CUDA)
  Device device = Device::cpu;  // where it runs: not part of the file, --device says
  struct {
    std::string kind;  // "toy", "vae", "dcgan", "vaegan", "simclr", "dcgan-simclr"
    int64_t z_dim = 128;
    double width = 1;                // scales every hidden channel count of encoder and generator
    double discriminator_width = 1;  // and of the discriminator
    int64_t generator_passes = 2;    // VAEGAN: posterior and prior latents apart, or in one batch
    int64_t encoder_hidden = 128, decoder_hidden = 128;  // toy
    std::string encoder;  // dcgan-simclr: a SimCLR run, or RUN@STEP, or a safetensors file of its weights
    std::string encoder_hash;         // CRC-32 of those weights; empty: any. A run writes down what it found
    std::string latent = "sqrt_dim";  // dcgan-simclr: norm of its latents, the root of z_dim, or "unit"
  } model;
  struct {
    double kl = 1;                 // weight of the KL term
    double reconstruction = 0;     // toy: weight c of |x - xhat|^2; images: of the mean of (x - xhat)^2.
                                   // A file of a toy or vae that does not say it means 1
    double feature = 1;            // VAEGAN, encoder: discriminator features
    double feature_generator = 1;  // VAEGAN, generator: the same
    double adversarial = 1;        // generator's adversarial term
    double balance = 0;            // VAEGAN: margin of Larsen's rule (models/losses.h); 0: all learn always
    double temperature = 0.5;      // SimCLR: of NT-Xent
  } loss;
  struct {
    std::string kind = "joint";  // "joint" or "dae"
    std::string weak = "width";  // "width" or "dropout": what weakens the decoder of stage 1
    double width = 0.5;
    double drop = 0.5;
    std::string drop_kind = "channel";  // or "element"
    double switch_at = 0.5;             // `switch`: the fraction of the steps after which stage 2 begins
    int64_t switch_step = 0;  // that step itself; 0: by `switch`. A run whose steps change writes it down
    std::string discriminator = "keep";  // VAEGAN, in stage 2: "keep" or "fresh", as a new generator is
    std::string rates = "continue";      // what decays: the whole run, or each stage for itself, "restart"
  } schedule;
  struct {
    double lr = 2e-4, beta1 = 0.5, beta2 = 0.9, weight_decay = 0;
    bool decoupled = true;         // weight decay as AdamW; otherwise added to the gradient, as Adam's
    std::string decay = "linear";  // to 0 over the steps, or "constant"
    double ema = 0;
    double loss_scale = 65536;  // f16: to start from
  } optimizer;
  struct {
    int64_t steps = 50000, batch = 128, log_every = 50, checkpoint_every = 1000, sample_every = 1000;
    bool graph = false;  // CUDA: a step is captured once and replayed; no effect on the CPU
    int64_t keep = 2;    // checkpoints, the last ones; 0: all. That of the switch is always kept
  } train;
  struct {
    std::string kind = "cifar10";  // "cifar10", "folder", "tensors", "toy", "procedural"
    std::string path;
    bool shuffle = true, flip = true;
    int64_t size = 32, count = 0;  // image side; how many to use, 0: all
    std::string filter = "bilinear", crop = "centre";
    double variance = 0.025;       // toy: of each cluster, per dimension
    std::string augment = "none";  // or "simclr": two augmented views of each image, in place of flips
  } data;
  struct {  // accuracy of nearest neighbours in the model's features, in metrics as "knn" (train/probe.h)
    int64_t every = 0;                  // steps; 0: never
    int64_t train = 5000, test = 1000;  // examples that vote, and that are classified
    int64_t neighbours = 200;
    double temperature = 0.5;
  } probe;
};

enum class Sets { own, shared };

// Reads `path`, then applies each "a.b=value" of `sets` (value in TOML syntax; a bare word is taken as a
// string). Errors are Fault::usage, one line: file, key, expected, found, and the nearest known key. A key
// that nothing reads, as the recipe stands, is such an error; of sets that several recipes share
// check_effect() decides.
Recipe load_recipe(const std::string& path, const std::vector<std::string>& sets = {},
                   Device device = Device::cpu, Sets kind = Sets::own);
// Fault::usage if one of `sets`, already applied to `recipes`, has an effect on none of them.
void check_effect(const std::vector<std::string>& sets, const std::vector<Recipe>& recipes);
std::vector<std::string> recipe_keys();     // "seed", "model.kind", ...
std::string to_toml(const Recipe& recipe);  // every key that has an effect; loads back to the same recipe
