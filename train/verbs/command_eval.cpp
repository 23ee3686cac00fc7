#include "train/verbs/commands.h"

namespace dae {

namespace {

using Arguments = std::shared_ptr<EvalArguments>;

CLI::App* add_metric(CLI::App& app, Commands& commands, const Arguments& e, const char* metric,
                     const char* what, bool reference) {
  CLI::App* sub = app.add_subcommand(metric, what);
  sub->add_option("images", e->a,
                  "folder, .png or .jpg, .npz with arr_0, CIFAR-10 batches, or a run (RUN or RUN@STEP)")
      ->required();
  if (reference) {
    sub->add_option("reference", e->b, "the same kinds");
    sub->add_option("--reference-count", e->reference_count, "first images of the reference, if not --count")
        ->check(CLI::Range(0, 100000000));
  }
  sub->add_option("--count", e->count, "first images of each set, or samples drawn of a run; 0: all")
      ->check(CLI::Range(0, 100000000));
  sub->add_flag(
      "--reconstructions", e->reconstructions,
      "a run's reconstructions of its data in place of samples; without a reference against the data");
  sub->add_flag("--raw", e->raw, kRaw);
  sub->add_option("--set", e->sets, "key=value in the recipes of runs, e.g. data.path=FILE")
      ->allow_extra_args(false);
  sub->callback([&commands, e, metric] {
    commands.verb = [&commands, e, metric] {
      e->metric = metric;
      return evaluate(*e, commands.options);
    };
  });
  return sub;
}

void add_inception(CLI::App& sub, const Arguments& e) {
  sub.add_option("--weights", e->weights, "Inception of 2015-12-05 under pytorch-fid's names, safetensors");
  sub.add_option("--protocol", e->protocol, "pytorch-fid, torch-fidelity, adm or gan-metrics")
      ->capture_default_str();
}
void add_layer(CLI::App& sub, const Arguments& e) {
  sub.add_option("--layer", e->layer, "width of the features: 64, 192, 768, 1280 or 2048")
      ->capture_default_str();
}

}  // namespace

void add_eval(Commands& commands) {
  CLI::App* app = commands.app.add_subcommand("eval", "measure images: sets by Inception, pairs one by one");
  app->require_subcommand(1);
  const auto e = std::make_shared<EvalArguments>();
  const auto metric = [&](const char* name, const char* what, bool reference = true) -> CLI::App& {
    return *add_metric(*app, commands, e, name, what, reference);
  };
  for (CLI::App* sub : {&metric("fid", "Frechet distance of Inception's features; saved statistics will do"),
                        &metric("sfid", "the same of spatial features")}) {
    add_inception(*sub, e), add_layer(*sub, e);
    sub->add_option("--save-stats", e->save_stats, "write the statistics of the images: .npz");
  }
  add_inception(metric("is", "Inception Score", false), e);
  CLI::App& kid = metric("kid", "kernel distance of Inception's features");
  add_inception(kid, e), add_layer(kid, e);
  kid.add_option("--subsets", e->subsets, "pairs of subsets")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  kid.add_option("--subset-size", e->subset_size, "images in a subset")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  CLI::App& pr = metric("precision-recall", "of the samples by their 3 nearest neighbours");
  add_inception(pr, e), add_layer(pr, e);
  for (CLI::App* sub :
       {&metric("psnr", "peak signal-to-noise ratio of pairs, dB"),
        &metric("ssim", "structural similarity of pairs"), &metric("lpips", "LPIPS of pairs")})
    sub->add_flag("--resize", e->resize, "bring an image to the size of its reference, if that is another");
  app->get_subcommand("lpips")->add_option("--weights", e->weights, "heads and trunk, safetensors");
}

}  // namespace dae
