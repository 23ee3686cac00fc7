// A DCGAN whose latents are the projections of real images by a frozen SimCLR encoder. They replace the
// Gaussian; there is no reconstruction term. The discriminator's step takes the latents of the batch. The
// generator's step takes twice as many: those of the batch and of its mirror images.
#include <algorithm>
#include <cmath>

#include "models/simclr.h"
#include "train/feed/feed.h"
#include "train/learners/dcgan.h"
#include "train/learners/upstream.h"

namespace dae {

namespace {

struct DcganSimclrSettings : SettingsOf<DcganSimclrSettings> {
  DcganSettings dcgan;
  std::string latent = "sqrt_dim";  // norm of a latent: "sqrt_dim" (sqrt(z_dim)) or "unit"
  std::vector<RecipeKey> keys() override {
    std::vector<RecipeKey> all = dcgan.keys();
    all.push_back({"model.latent", &latent, {"sqrt_dim|unit"}});
    return all;
  }
  void check(const Recipe& recipe, const std::string& file) const override {
    if (recipe.upstream.run.empty())
      fail(Fault::usage,
           "recipe: {}: upstream.run: expected a SimCLR run or a safetensors file of its weights, found "
           "nothing; train one, "
           "then add --set upstream.run=RUN",
           file);
  }
};

// Returns the frozen encoder, in eval mode. The file decides its width.
std::unique_ptr<simclr::Simclr> load_encoder(const Recipe& recipe, int64_t z_dim) {
  const Upstream upstream(recipe);
  const int64_t stem = upstream.rows("backbone.conv1.weight", "a SimCLR run"),
                projection = upstream.rows("head.3.weight", "a SimCLR run");
  if (projection != z_dim)
    fail(Fault::usage, "model.z_dim: expected {}, which the encoder {} projects to, found {}", projection,
         upstream.path(), z_dim);
  Rng init(recipe.seed);
  auto encoder = std::make_unique<simclr::Simclr>(Build{dtype_from(recipe.dtype), &init, recipe.device},
                                                  z_dim, double(stem) / 64);
  upstream.load(*encoder);
  return encoder;
}

class DcganSimclr : public Dcgan, public CanEncode, public CanDecode {
 public:
  explicit DcganSimclr(const Recipe& r)
      : Dcgan(r, own<DcganSimclrSettings>(r).dcgan),
        recipe_(r),
        norm_(own<DcganSimclrSettings>(r).latent == "unit" ? 1 : std::sqrt(double(z_dim_))),
        encoder_(load_encoder(r, z_dim_)) {}
  CanEncode* encoder() override { return this; }
  CanDecode* decoder() override { return this; }
  Tensor encode(const Tensor& x) override {
    const NoGrad off;
    return scale(simclr::l2_normalize((*encoder_)(x).projection), norm_);
  }
  Tensor features(const Tensor& x) override {
    const NoGrad off;
    return (*encoder_)(x).features;
  }
  Tensor decode(const Tensor& z) override { return images_of(z); }
  // The latents are those of random training images.
  Tensor generate(int64_t count, Noise& noise) override {
    if (!images_) images_ = std::make_unique<Examples>(recipe_);
    return decode(encode(images_->draw(count, noise.key()).x));
  }

 protected:
  Latents latents(const Tensor& x, Noise&) override {
    const Tensor z = encode(x);
    return {z, concat({z, encode(mirrored(x))}, 0)};
  }

 private:
  static Tensor mirrored(const Tensor& x) {  // (N, H, W, C), left to right
    const NoGrad off;
    std::vector<Tensor> columns = split(x, 2, int(x.dim(2)));
    std::reverse(columns.begin(), columns.end());
    return concat(columns, 2);
  }
  Recipe recipe_;
  double norm_;
  std::unique_ptr<simclr::Simclr> encoder_;
  std::unique_ptr<Examples> images_;  // opened at the first draw
};

}  // namespace

LearnerKind dcgan_simclr_kind() {
  LearnerKind kind;
  kind.name = "dcgan-simclr";
  kind.settings = []() -> std::unique_ptr<Settings> { return std::make_unique<DcganSimclrSettings>(); };
  kind.upstream = true;
  kind.optimizers = {"generator", "discriminator"};
  kind.make = [](const Recipe& r) -> std::unique_ptr<Learner> { return std::make_unique<DcganSimclr>(r); };
  return kind;
}

}  // namespace dae
