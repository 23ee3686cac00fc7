// A recipe holds every setting of a run. It is read from TOML. An unknown key is an error that names the
// nearest known key. The tables that every model shares are members here; what a kind of model adds is its
// Settings (model_kind.h).
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/memory.h"
#include "train/recipe/model_kind.h"

namespace dae {

// Settings that are copied with their recipe.
class OwnSettings {
 public:
  OwnSettings() = default;
  OwnSettings(std::unique_ptr<Settings> settings) : settings_(std::move(settings)) {}
  OwnSettings(const OwnSettings& other) : settings_(other.settings_ ? other.settings_->clone() : nullptr) {}
  OwnSettings& operator=(OwnSettings other) { return settings_.swap(other.settings_), *this; }
  Settings* operator->() const { return settings_.get(); }
  Settings& operator*() const { return *settings_; }
  explicit operator bool() const { return bool(settings_); }

 private:
  std::unique_ptr<Settings> settings_;
};

// A table [optimizer.NAME]: what differs from [optimizer] in the optimizer of that name.
struct OptimizerChange {
  std::optional<double> lr, beta1, beta2, weight_decay;
  std::optional<bool> decoupled;
};

// The members have the names of the TOML keys: `train.batch` is the key batch of the table [train].
struct Recipe {
  uint64_t seed = 0;
  std::string dtype = "f32";    // the compute type: "f32", "f64" (CPU only), "bf16" or "f16" (CUDA only)
  Device device = Device::cpu;  // set by --device; the file has no such key
  struct {
    std::string kind;  // one of model_kinds()
  } model;
  OwnSettings own;  // those of model.kind; load_recipe() and of_kind() make them
  struct {
    std::string run;   // the finished run that this one is built on: RUN, RUN@STEP, or a file of its weights
    std::string hash;  // CRC-32 that those weights must have; empty: any. A run writes down what it found
  } upstream;
  struct {
    std::string kind = "joint";         // "joint" or "dae"
    std::string weak = "width";         // what makes the decoder of stage 1 weak: "width" or "dropout"
    double width = 0.5;                 // weak by width: the factor on the decoder's hidden channels
    double drop = 0.5;                  // weak by dropout: the probability
    std::string drop_kind = "channel";  // "channel" or "element"
    double switch_at = 0.5;             // key `switch`: the fraction of the steps that stage 1 takes
    int64_t switch_step = 0;            // the number of steps of stage 1; 0: computed from `switch`.
                                        // A run sets it when train.steps changes at a resume
    std::string rates = "continue";     // the decay covers the whole run, or each stage alone: "restart"
  } schedule;
  struct {
    double lr = 2e-4, beta1 = 0.5, beta2 = 0.9, weight_decay = 0;
    bool decoupled = true;  // true: weight decay of AdamW; false: Adam's, added to the gradient
    std::string decay =
        "linear";               // of the learning rate to 0 over the steps: "linear", "cosine", or "constant"
    int64_t warmup = 0;         // cosine: steps over which the rate first rises from 0
    double ema = 0;             // decay of the moving average of the weights; 0: no average
    double loss_scale = 65536;  // f16: the first loss scale
  } optimizer;
  std::map<std::string, OptimizerChange> optimizers;  // by the name of the optimizer
  struct {
    int64_t steps = 50000, batch = 128, log_every = 50, checkpoint_every = 1000, sample_every = 1000;
    bool graph = false;  // CUDA: record a step as a graph and replay it; no effect on the CPU
    int64_t keep = 2;    // last checkpoints that stay; 0: all. The one of the switch always stays
  } train;
  struct {
    std::string kind = "cifar10";  // "cifar10", "folder", "tensors", "toy" or "procedural"
    std::string path;
    std::optional<std::string>
        validation;  // a folder or file of that kind that is not trained on; see held_out()
    bool shuffle = true, flip = true;
    int64_t size = 32, count = 0;  // side of an image in pixels; number of examples to use, 0: all
    std::string filter = "bilinear", crop = "centre";
    double variance = 0.025;       // toy: variance of each cluster, per dimension
    std::string augment = "none";  // "none", or "simclr": two augmented views of each image and no flips
  } data;
  // Accuracy of nearest neighbours in the model's features, logged as the metric "knn"
  // (train/evaluation/probe.h).
  struct {
    int64_t every = 0;                  // steps between two measurements; 0: none
    int64_t train = 5000, test = 1000;  // examples that vote; examples that are classified
    int64_t neighbours = 200;
    double temperature = 0.5;
  } probe;
};

// Returns the settings of the recipe's kind of model. S is the type that this kind has.
template <class S>
S& own(Recipe& recipe) {
  return dynamic_cast<S&>(*recipe.own);
}
template <class S>
const S& own(const Recipe& recipe) {
  return dynamic_cast<const S&>(*recipe.own);
}

// own: the settings belong to one recipe. shared: several recipes get the same settings.
enum class Sets { own, shared };

// Returns the recipe in the file `path`, or the shipped recipe of that name, with each "a.b=value" of `sets`
// applied. A value is in TOML syntax; a bare word is taken as a string.
// Every error is Fault::usage, one line: file, key, expected, found, and the nearest known key. A key that
// has no effect in the recipe as it stands is such an error. With Sets::shared the keys of `sets` are exempt:
// check_effect() checks them for all recipes together.
Recipe load_recipe(const std::string& path, const std::vector<std::string>& sets = {},
                   Device device = Device::cpu, Sets kind = Sets::own);
// Returns the defaults of a kind of model with `sets` applied, without any file and without checks of effect.
Recipe of_kind(const std::string& kind, const std::vector<std::string>& sets = {});
// Applies one "a.b=value". Throws Fault::usage for a key that the recipe has not and for a wrong value.
void set(Recipe& recipe, const std::string& key_and_value);
// Returns the value of a key as it stands in TOML, without quotes; "" if the recipe has no such key.
std::string value(const Recipe& recipe, const std::string& key);
// Returns the value of a key that holds a number. The recipe must have the key.
double number(const Recipe& recipe, const std::string& key);
// Throws Fault::usage if one of `sets`, already applied to `recipes`, has an effect on none of them.
void check_effect(const std::vector<std::string>& sets, const std::vector<Recipe>& recipes);
// Returns all keys of all kinds, each once: "seed", "model.kind", ...
std::vector<std::string> recipe_keys();
// Returns the recipe as TOML, with every key that has an effect. It loads back to the same recipe.
std::string to_toml(const Recipe& recipe);

}  // namespace dae
