// Curves as inline SVG: line charts whose colours come from the page's style sheet (report.cpp).
#pragma once
#include <cmath>
#include <string>
#include <vector>

struct Series {
  std::string name;          // in a legend: the run
  std::vector<double> x, y;  // the same length, x ascending; points that are not finite are left out
};

struct Mark {  // a vertical line, e.g. where stage 2 began
  double x = 0;
  std::string text;
};

struct Chart {
  std::string title;
  std::vector<Series> series;
  std::vector<Mark> marks;
  bool smooth = true;      // long series: an average that starts afresh at marks, over the faint raw line
  bool from_zero = false;  // the y axis begins at 0, so that heights can be compared; never logarithmic
  double x_low = NAN, x_high = NAN;  // of the x axis; NAN: those of the series
  std::string x_label = "step";
};

// The y axis is logarithmic if all values are positive and their range spans a factor of 50 or more.
bool has_log_scale(const Chart& chart);

// An <svg> element. colours: of each series, an index into the page's palette.
std::string svg(const Chart& chart, const std::vector<int>& colours);

struct Scatter {  // points in the plane, each of a class: its colour
  std::string title;
  std::vector<double> x, y;
  std::vector<int64_t> label;  // the same length, from 0
};
std::string svg(const Scatter& scatter);  // an <svg> element, square, one unit as long across as up

// The text with <, >, &, " and ' written as entities: safe between tags and in quoted attributes.
std::string escape_html(const std::string& text);
