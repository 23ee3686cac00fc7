// A report is one self-contained HTML page made of small building blocks. It loads no script, font or picture
// from elsewhere, so it can be read offline and sent as one file. Every string given is plain text and is
// escaped, except Drawing::svg.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "train/report/chart.h"

namespace dae {

using Fact = std::pair<std::string, std::string>;  // a name and its value

struct Table {
  std::vector<std::string> header;             // may be empty
  std::vector<std::vector<std::string>> rows;  // a column that holds only numbers is aligned to the right
  std::string caption;
};

// Returns the table as aligned text for a terminal: the first column to the left, the others to the right.
std::string plain_text(const Table& table);
// Returns the table in Markdown.
std::string markdown(const Table& table);

struct Picture {
  std::string caption, path;  // a PNG file
};
struct Film {  // pictures of one subject over time
  std::string title;
  std::vector<Picture> pictures;  // oldest first; the last is shown large, a few earlier ones small below it
};

struct Drawing {
  std::string title, svg;  // an <svg> element made by this program; not escaped
};

class Report {
 public:
  explicit Report(const std::string& title, const std::string& subtitle = "");

  void figures(const std::vector<Fact>& facts);  // a row of names with large values
  void section(const std::string& title);
  void text(const std::string& paragraph);
  void table(const Table& table);
  void facts(const std::vector<Fact>& facts);  // a table of two columns
  void code(const std::string& text);          // preformatted text; its paragraphs are set in columns
  // Charts side by side. A series of one name has the same colour in all of them. Two or more names get a
  // legend.
  void curves(const std::vector<Chart>& charts);
  void scatters(const std::vector<Scatter>& scatters);  // side by side
  void drawings(const std::vector<Drawing>& drawings);  // side by side
  // Films side by side. Throws Fault::data if a file cannot be read.
  void pictures(const std::vector<Film>& films);

  std::string html() const;
  // Writes the page, whole or not at all (write_file, data/files/file.h).
  void write(const std::string& path) const;

 private:
  std::string title_, body_;
};

}  // namespace dae
