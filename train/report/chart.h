// Line charts and scatter plots as inline SVG. Their colours come from the page's style sheet (report.cpp).
#pragma once
#include <cmath>
#include <string>
#include <vector>

namespace dae {

struct Series {
  std::string name;          // name in a legend: the run
  std::vector<double> x, y;  // of the same length, x ascending; points that are not finite are left out
};

struct Mark {  // a vertical line, e.g. where stage 2 began
  double x = 0;
  std::string text;
};

struct Chart {
  std::string title;
  std::vector<Series> series;
  std::vector<Mark> marks;
  bool smooth = true;                // long series: a moving average over the raw line; it restarts at marks
  bool from_zero = false;            // the y axis begins at 0 and is never logarithmic
  double x_low = NAN, x_high = NAN;  // limits of the x axis; NAN: those of the series
  std::string x_label = "step";
};

// Returns whether the y axis is logarithmic: all values are positive and their range is a factor of 50 or
// more.
bool has_log_scale(const Chart& chart);

// Returns an <svg> element. colours: for each series an index into the page's palette.
std::string svg(const Chart& chart, const std::vector<int>& colours);

struct Scatter {  // points in the plane; the class of a point decides its colour
  std::string title;
  std::vector<double> x, y;
  std::vector<int64_t> label;  // of the same length as x; counts from 0
};
// Returns a square <svg> element with the same scale on both axes.
std::string svg(const Scatter& scatter);

// Returns the text with <, >, &, " and ' as entities. It is safe between tags and in quoted attributes.
std::string escape_html(const std::string& text);

}  // namespace dae
