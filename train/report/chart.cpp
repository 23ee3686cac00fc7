#include "train/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace dae {

namespace {

constexpr int kClassColours = 8;  // the style sheet has c0 .. c7

constexpr double kWidth = 400, kHeight = 232;  // in SVG user units; the page scales them
constexpr double kLeft = 48, kRight = 390, kTop = 8, kBottom = 192;  // edges of the plotting area
constexpr int kBuckets = 150;  // of a long line only the lowest and highest point of each bucket are drawn
// The number of points from which a line is also drawn smoothed, and the number of averaging spans in a line.
constexpr size_t kSmooth = 40;

// Returns a tick's label with `digits` significant digits: 1234 -> 1234, 20000 -> 20k, 0.00001 -> 1e-5.
std::string label(double v, int digits) {
  for (const auto& [unit, letter] : {std::pair{1e9, "G"}, std::pair{1e6, "M"}, std::pair{1e3, "k"}})
    if (std::fabs(v) >= std::max(unit, 1e4)) return fmt::format("{:.{}g}{}", v / unit, digits, letter);
  std::string text = fmt::format("{:.{}g}", v, digits);
  const size_t e = text.find("e-0");
  if (e != std::string::npos) text.erase(e + 2, 1);
  return text;
}

struct Axis {
  double low, high;
  bool log = false;

  double at(double v) const {  // returns the position in [0, 1] between low and high
    return log ? std::log(v / low) / std::log(high / low) : (v - low) / (high - low);
  }
  std::vector<double> ticks() const {
    std::vector<double> out;
    if (log) {
      const int decades = int(std::ceil(std::log10(high / low)));
      const int every = (decades + 4) / 5;
      for (int e = int(std::floor(std::log10(low))); e <= int(std::ceil(std::log10(high))); ++e)
        for (const double digit : {1., 2., 5.})
          if (digit == 1 ? e % every == 0 : decades <= 2) out.push_back(digit * std::pow(10., e));
    } else {
      const double rough = (high - low) / 4, power = std::pow(10., std::floor(std::log10(rough)));
      double step = 10 * power;
      for (const double digit : {5., 2., 1.})
        if (digit * power >= 0.8 * rough) step = digit * power;
      for (double i = std::ceil(low / step); i * step <= high; ++i) out.push_back(i == 0 ? 0 : i * step);
    }
    out.erase(std::remove_if(out.begin(), out.end(), [&](double v) { return v < low || v > high; }),
              out.end());
    return out;
  }
};

// Returns how many significant digits tell evenly spaced ticks apart.
int digits_of(const std::vector<double>& ticks) {
  if (ticks.size() < 2) return 4;
  const double largest = std::max(std::fabs(ticks.front()), std::fabs(ticks.back()));
  const double decades = std::log10(largest / (ticks[1] - ticks[0]));
  return std::clamp(int(std::ceil(decades)) + 1, 4, 12);
}

struct Range {
  double low = INFINITY, high = -INFINITY;
  void add(double v) { low = std::min(low, v), high = std::max(high, v); }
};

struct Point {
  double x, y;
};
using Line = std::vector<Point>;

Line finite_points(const Series& series) {
  Line out;
  for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i)
    if (std::isfinite(series.x[i]) && std::isfinite(series.y[i])) out.push_back({series.x[i], series.y[i]});
  return out;
}

Range y_range(const Chart& chart) {
  Range range;
  for (const Series& series : chart.series)
    for (const Point& p : finite_points(series)) range.add(p.y);
  return range;
}

// Keeps at most two points per bucket, its lowest and its highest, so that no spike is lost.
Line thinned(const Line& line) {
  if (line.size() <= 2 * kBuckets) return line;
  Line out;
  for (size_t b = 0; b < kBuckets; ++b) {
    const auto from = line.begin() + long(b * line.size() / kBuckets),
               to = line.begin() + long((b + 1) * line.size() / kBuckets);
    auto [low, high] = std::minmax_element(from, to, [](Point a, Point c) { return a.y < c.y; });
    if (high < low) std::swap(low, high);
    out.push_back(*low);
    if (high != low) out.push_back(*high);
  }
  return out;
}

// Returns the exponential moving average on the axis's own scale. It divides by the sum of the weights, as
// Adam does for its moments, so that its start is not biased.
Line average(const Line& line, double span, bool log) {
  const double keep = 1 - 1 / span;
  double sum = 0, weight = 0;
  Line out;
  for (const Point& p : line) {
    sum = keep * sum + (1 - keep) * (log ? std::log(p.y) : p.y);
    weight = keep * weight + (1 - keep);
    out.push_back({p.x, log ? std::exp(sum / weight) : sum / weight});
  }
  return out;
}

std::vector<Line> cut_at(const Line& line, const std::vector<Mark>& marks) {
  std::vector<Line> parts(1);
  for (const Point& p : line) {
    const bool crossed = !parts.back().empty() && std::any_of(marks.begin(), marks.end(), [&](const Mark& m) {
      return parts.back().back().x <= m.x && m.x < p.x;
    });
    if (crossed) parts.emplace_back();
    parts.back().push_back(p);
  }
  return parts;
}

}  // namespace

std::string svg(const Scatter& scatter) {
  constexpr double kSide = 240, kMargin = 8;
  Range x, y;
  for (const double v : scatter.x) x.add(v);
  for (const double v : scatter.y) y.add(v);
  const double span = std::max({x.high - x.low, y.high - y.low, 1e-12}), unit = (kSide - 2 * kMargin) / span;
  std::map<int64_t, std::string> paths;  // by class; a dot is a line of length 0 with round ends
  for (size_t i = 0; i < scatter.x.size(); ++i)
    fmt::format_to(std::back_inserter(paths[scatter.label[i]]), "M{:.1f} {:.1f}h0",
                   kSide / 2 + unit * (scatter.x[i] - (x.low + x.high) / 2),
                   kSide / 2 - unit * (scatter.y[i] - (y.low + y.high) / 2));
  std::string out = fmt::format("<svg viewBox=\"0 0 {0} {0}\" role=\"img\" aria-label=\"{1}\">", kSide,
                                escape_html(scatter.title));
  for (const auto& [label, d] : paths)
    out += fmt::format("<path class=\"dots c{}\" d=\"{}\"/>", label % kClassColours, d);
  return out + "</svg>";
}

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (c == '"') out += "&quot;";
    else if (c == '\'') out += "&#39;";
    else out += c;
  }
  return out;
}

bool has_log_scale(const Chart& chart) {
  const Range range = y_range(chart);
  return !chart.from_zero && range.low > 0 && range.high >= 50 * range.low;
}

std::string svg(const Chart& chart, const std::vector<int>& colours) {
  const bool log = has_log_scale(chart);
  Range x, y = y_range(chart);
  for (const Series& series : chart.series)
    for (const Point& p : finite_points(series)) x.add(p.x);
  if (std::isfinite(chart.x_low)) x.low = chart.x_low;
  if (std::isfinite(chart.x_high)) x.high = chart.x_high;
  if (chart.from_zero) y.low = std::min(y.low, 0.);
  if (x.low > x.high) x = y = {0, 1};
  if (x.low == x.high) x = {x.low - 1, x.high + 1};
  if (y.low == y.high) y = {y.low - 0.1 * std::fabs(y.low) - 1e-12, y.high + 0.1 * std::fabs(y.high) + 1e-12};
  const double margin = log ? std::pow(y.high / y.low, 0.04) : 0.04 * (y.high - y.low);
  const Axis across{x.low, x.high}, up{log          ? y.low / margin
                                       : y.low == 0 ? 0
                                                    : y.low - margin,
                                       log ? y.high * margin : y.high + margin, log};
  const auto px = [&](double v) { return kLeft + across.at(v) * (kRight - kLeft); };
  const auto py = [&](double v) { return kBottom - up.at(v) * (kBottom - kTop); };

  std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight,
                                escape_html(chart.title));
  const std::vector<double> y_ticks = up.ticks(), x_ticks = across.ticks();
  for (const double v : y_ticks)
    out += fmt::format(
        "<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
        kLeft, py(v), kRight, kLeft - 6, py(v) + 4, label(v, log ? 4 : digits_of(y_ticks)));
  for (const double v : x_ticks)
    out += fmt::format(
        "<path class=\"axis\" d=\"M{:.1f} {}v4\"/><text x=\"{:.1f}\" y=\"{}\" text-anchor=\"{}\">{}</text>",
        px(v), kBottom, px(v), kBottom + 18, px(v) > kRight - 12 ? "end" : "middle",
        label(v, digits_of(x_ticks)));
  out += fmt::format(
      "<path class=\"axis\" d=\"M{} {}H{}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", kLeft,
      kBottom, kRight, kRight, kHeight - 6, escape_html(chart.x_label));
  for (const Mark& mark : chart.marks) {
    if (mark.x < x.low || mark.x > x.high) continue;
    const double at = px(mark.x);
    const bool right = at < 0.75 * kRight;
    out += fmt::format(
        "<path class=\"mark\" d=\"M{:.1f} {}V{}\"/><text class=\"mark\" x=\"{:.1f}\" y=\"{}\" "
        "text-anchor=\"{}\">{}</text>",
        at, kTop, kBottom, at + (right ? 5 : -5), kTop + 10, right ? "start" : "end", escape_html(mark.text));
  }

  const auto draw = [&](const Line& line, const std::string& css) {
    std::string d;
    const Line points = thinned(line);
    for (const Point& p : points)
      fmt::format_to(std::back_inserter(d), "{}{:.1f} {:.1f}", d.empty() ? "M" : "L", px(p.x), py(p.y));
    if (points.size() == 1) d += "h0";  // a dot: a line of length 0 with round ends
    if (!d.empty()) out += fmt::format("<path class=\"{}\" d=\"{}\"/>", css, d);
  };
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const Line line = finite_points(chart.series[i]);
    const std::string colour = fmt::format("c{}", i < colours.size() ? colours[i] : 0);
    const bool smooth = chart.smooth && line.size() >= kSmooth;
    draw(line, (smooth ? "raw " : "line ") + colour);
    if (smooth)
      for (const Line& part : cut_at(line, chart.marks))
        draw(average(part, std::max(2., double(line.size()) / kSmooth), log), "line " + colour);
  }
  return out + "</svg>";
}

}  // namespace dae
