// A recipe holds every setting of a run. It is read from TOML. An unknown key is an error that names the
// nearest known key.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/memory.h"

namespace dae {

// The members have the names of the TOML keys: `model.z_dim` is the key z_dim of the table [model].
struct Recipe {
  uint64_t seed = 0;
  std::string dtype = "f32";    // the compute type: "f32", "f64" (CPU only), "bf16" or "f16" (CUDA only)
  Device device = Device::cpu;  // set by --device; the file has no such key
  struct {
    std::string kind;  // "toy", "vae", "dcgan", "vaegan", "simclr" or "dcgan-simclr"
    int64_t z_dim = 128;
    double width = 1;                // factor on every hidden channel count of encoder and generator
    double discriminator_width = 1;  // the same factor for the discriminator
    // VAEGAN. 2: the generator decodes posterior and prior latents in separate passes; 1: in one batch.
    int64_t generator_passes = 2;
    int64_t encoder_hidden = 128, decoder_hidden = 128;  // toy: width of the hidden layers
    std::string encoder;       // dcgan-simclr: a SimCLR run, RUN@STEP, or a safetensors file of its weights
    std::string encoder_hash;  // CRC-32 that those weights must have; empty: any. A run writes its own here
    std::string latent = "sqrt_dim";  // dcgan-simclr: norm of a latent: "sqrt_dim" (sqrt(z_dim)) or "unit"
  } model;
  struct {
    double kl = 1;  // weight of the KL term
    // toy: the weight c of |x - xhat|^2. Models of images: the weight of the mean of (x - xhat)^2.
    // The default is 1, not 0, where the file of a toy or a vae leaves the key out.
    double reconstruction = 0;
    double feature = 1;            // VAEGAN: weight of the discriminator's features in the encoder's loss
    double feature_generator = 1;  // VAEGAN: the same in the generator's loss
    double adversarial = 1;        // VAEGAN: weight of the adversarial term in the generator's loss
    double balance = 0;            // VAEGAN: margin of Larsen's rule (models/losses.h); 0: both always learn
    double temperature = 0.5;      // SimCLR: temperature of the NT-Xent loss
  } loss;
  struct {
    std::string kind = "joint";          // "joint" or "dae"
    std::string weak = "width";          // what makes the decoder of stage 1 weak: "width" or "dropout"
    double width = 0.5;                  // weak by width: the factor on the decoder's hidden channels
    double drop = 0.5;                   // weak by dropout: the probability
    std::string drop_kind = "channel";   // "channel" or "element"
    double switch_at = 0.5;              // key `switch`: the fraction of the steps that stage 1 takes
    int64_t switch_step = 0;             // the number of steps of stage 1; 0: computed from `switch`.
                                         // A run sets it when train.steps changes at a resume
    std::string discriminator = "keep";  // VAEGAN: "keep", or "fresh": stage 2 makes a new discriminator
    std::string rates = "continue";      // the decay covers the whole run, or each stage alone: "restart"
  } schedule;
  struct {
    double lr = 2e-4, beta1 = 0.5, beta2 = 0.9, weight_decay = 0;
    bool decoupled = true;         // true: weight decay of AdamW; false: Adam's, added to the gradient
    std::string decay = "linear";  // of the learning rate: "linear", to 0 over the steps, or "constant"
    double ema = 0;                // decay of the moving average of the weights; 0: no average
    double loss_scale = 65536;     // f16: the first loss scale
  } optimizer;
  struct {
    int64_t steps = 50000, batch = 128, log_every = 50, checkpoint_every = 1000, sample_every = 1000;
    bool graph = false;  // CUDA: record a step as a graph and replay it; no effect on the CPU
    int64_t keep = 2;    // last checkpoints that stay; 0: all. The one of the switch always stays
  } train;
  struct {
    std::string kind = "cifar10";  // "cifar10", "folder", "tensors", "toy" or "procedural"
    std::string path;
    bool shuffle = true, flip = true;
    int64_t size = 32, count = 0;  // side of an image in pixels; number of examples to use, 0: all
    std::string filter = "bilinear", crop = "centre";
    double variance = 0.025;       // toy: variance of each cluster, per dimension
    std::string augment = "none";  // "none", or "simclr": two augmented views of each image and no flips
  } data;
  // Accuracy of nearest neighbours in the model's features, logged as the metric "knn" (train/evaluation/probe.h).
  struct {
    int64_t every = 0;                  // steps between two measurements; 0: none
    int64_t train = 5000, test = 1000;  // examples that vote; examples that are classified
    int64_t neighbours = 200;
    double temperature = 0.5;
  } probe;
};

// own: the settings belong to one recipe. shared: several recipes get the same settings.
enum class Sets { own, shared };

// Returns the recipe in the file `path`, or the shipped recipe of that name, with each "a.b=value" of `sets`
// applied. A value is in TOML syntax; a bare word is taken as a string.
// Every error is Fault::usage, one line: file, key, expected, found, and the nearest known key. A key that
// has no effect in the recipe as it stands is such an error. With Sets::shared the keys of `sets` are exempt:
// check_effect() checks them for all recipes together.
Recipe load_recipe(const std::string& path, const std::vector<std::string>& sets = {},
                   Device device = Device::cpu, Sets kind = Sets::own);
// Throws Fault::usage if one of `sets`, already applied to `recipes`, has an effect on none of them.
void check_effect(const std::vector<std::string>& sets, const std::vector<Recipe>& recipes);
std::vector<std::string> recipe_keys();  // returns all keys: "seed", "model.kind", ...
// Returns the recipe as TOML, with every key that has an effect. It loads back to the same recipe.
std::string to_toml(const Recipe& recipe);

}  // namespace dae
