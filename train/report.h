// One self-contained HTML page from small building blocks: no script, font or picture is loaded from
// anywhere, so it is readable offline and can be sent as one file. Every string given is text and is escaped.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "train/chart.h"

using Fact = std::pair<std::string, std::string>;  // what, and its value

struct Table {
  std::vector<std::string> header;             // may be empty
  std::vector<std::vector<std::string>> rows;  // a column whose cells begin with a digit or sign is aligned
  std::string caption;
};

// The table on a terminal: the first column to the left, the others to the right.
std::string plain_text(const Table& table);
std::string markdown(const Table& table);

struct Picture {
  std::string caption, path;  // a PNG file
};
struct Film {  // one subject over time
  std::string title;
  std::vector<Picture> pictures;  // oldest first: the last is shown large, a few earlier ones small below it
};

struct Drawing {
  std::string title, svg;  // an <svg> element of this program's own: not escaped
};

class Report {
 public:
  explicit Report(const std::string& title, const std::string& subtitle = "");

  void figures(const std::vector<Fact>& facts);  // a row of large numbers
  void section(const std::string& title);
  void text(const std::string& paragraph);
  void table(const Table& table);
  void facts(const std::vector<Fact>& facts);  // a table of two columns
  void code(const std::string& text);          // set as written, paragraphs in columns where there is room
  // Charts side by side. A series keeps its colour over all of them; with two or more names there is a
  // legend.
  void curves(const std::vector<Chart>& charts);
  void scatters(const std::vector<Scatter>& scatters);  // side by side
  void drawings(const std::vector<Drawing>& drawings);  // likewise
  void pictures(const std::vector<Film>& films);        // side by side. Fault::data: a file cannot be read

  std::string html() const;
  void write(const std::string& path) const;  // whole or not at all (data/file.h)

 private:
  std::string title_, body_;
};
