#include "train/report/drawing.h"

#include <fmt/format.h>

namespace dae {

namespace {

// Returns the drawing of one stage, from left to right: image, encoder, latent, decoder, reconstruction. The
// encoder narrows; the decoder widens to `height`. encoder_css and decoder_css style the two boxes.
std::string stage(const char* title, const char* encoder, const char* encoder_css, const char* decoder,
                  const char* decoder_css, double height) {
  const auto text = [](const char* css, double x, double y, const char* words) {
    return fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\">{}</text>", css, x, y, escape_html(words));
  };
  const auto arrow = [](double x) {
    return fmt::format("<path class=\"arrow\" d=\"M{} 62h16m-5 -4l5 4l-5 4\"/>", x);
  };
  std::string out = fmt::format("<svg viewBox=\"0 0 400 148\" role=\"img\" aria-label=\"{}\">", title);
  out += "<path class=\"box\" d=\"M8 40h44v44h-44z\"/>" + text("part", 30, 66, "image") + arrow(56);
  out += fmt::format("<path class=\"box {}\" d=\"M78 18l70 28v32l-70 28z\"/>", encoder_css) +
         text("name", 111, 58, "encoder") + text("part", 111, 74, encoder) + arrow(152);
  out += "<path class=\"box\" d=\"M174 46h32v32h-32z\"/>" + text("part", 190, 66, "z") + arrow(210);
  const double slope = height / 2 - 18;  // the box grows from height 36 to `height`
  out += fmt::format("<path class=\"box {}\" d=\"M232 44l70 {}v{}l-70 {}z\"/>", decoder_css, -slope, height,
                     -slope) +
         text("name", 267, 60, "decoder") + text("part", 267, 75, decoder) + arrow(306);
  out += "<path class=\"box\" d=\"M328 40h64v44h-64z\"/>" + text("part", 360, 59, "recon-") +
         text("part", 360, 73, "struction");
  return out + text("part", 200, 138, title) + "</svg>";
}

}  // namespace

std::vector<Drawing> dae_drawings() {
  return {
      {"Stage 1", stage("both learn; the latent has to carry the image", "learns", "", "weak", "weak", 52)},
      {"Stage 2", stage("the encoder rests, a full decoder learns", "frozen", "frozen", "full", "", 88)}};
}

}  // namespace dae
