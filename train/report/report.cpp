#include "train/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "data/files/file.h"

namespace dae {

namespace {

constexpr int kColours = 6;     // colours of curves: c0 .. c5 of the style sheet
constexpr size_t kEarlier = 6;  // the number of earlier pictures of a film
constexpr size_t kColumns = 4;  // the most columns of a table that fits a narrow screen

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --page: #f7f7f5; --card: #ffffff; --ink: #1d2125; --soft: #62686f;
  --rule: #dfe1e3; --grid: #eceded; --c0: #1868b0; --c1: #cf5208; --c2: #0a8660; --c3: #a23f8c;
  --c4: #a87b00; --c5: #2a95b8; --c6: #5f6b75; --c7: #8a5a3c; }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1c2024; --ink: #e4e7ea;
  --soft: #9aa2aa; --rule: #33393f; --grid: #292e33; --c0: #63abf0; --c1: #f58a4b; --c2: #41c197;
  --c3: #dc8acb; --c4: #e0b541; --c5: #6fd0ea;
  --c6: #a9b4bd; --c7: #cf9f80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 56px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0; }
h2 { font-size: 18px; margin: 38px 0 12px; }
p { margin: 8px 0; max-width: 78ch; }
.soft { color: var(--soft); }
.figures { display: flex; flex-wrap: wrap; gap: 10px; margin: 20px 0 0; padding: 0; }
.figures div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 8px 16px 9px; min-width: 116px; }
.figures dt { font-size: 12.5px; color: var(--soft); }
.figures dd { margin: 0; font-size: 20px; font-variant-numeric: tabular-nums; }
.charts, .films, .scatters { display: grid; gap: 12px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); margin-bottom: 12px; }
.scatters { grid-template-columns: repeat(auto-fill, minmax(min(100%, 160px), 1fr)); }
.films { grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 10px 12px; min-width: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 10px; align-items: baseline; margin-bottom: 4px; }
figcaption b { margin-right: auto; }
figcaption span { font-size: 12.5px; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 11.5px; fill: var(--soft); }
svg path { fill: none; stroke-linejoin: round; stroke-linecap: round; }
svg .grid { stroke: var(--grid); } svg .axis { stroke: var(--rule); }
svg path.mark { stroke: var(--soft); stroke-dasharray: 4 4; } svg text.mark { fill: var(--ink); paint-order: stroke;
  stroke: var(--card); stroke-width: 4px; stroke-linejoin: round; }
svg path.dots { stroke-width: 4; opacity: .6; }
svg .box { fill: var(--page); stroke: var(--soft); stroke-width: 1.3; } svg .box.weak { stroke-dasharray: 5 4; }
svg .box.frozen { fill: var(--grid); } svg .arrow { stroke: var(--ink); stroke-width: 1.3; }
svg text.name { fill: var(--ink); font-size: 13px; text-anchor: middle; } svg text.part { text-anchor: middle; }
svg .line { stroke-width: 1.7; } svg .raw { stroke-width: 1; opacity: .32; }
.c0 { stroke: var(--c0); color: var(--c0); } .c1 { stroke: var(--c1); color: var(--c1); }
.c2 { stroke: var(--c2); color: var(--c2); } .c3 { stroke: var(--c3); color: var(--c3); }
.c4 { stroke: var(--c4); color: var(--c4); } .c5 { stroke: var(--c5); color: var(--c5); }
.c6 { stroke: var(--c6); color: var(--c6); } .c7 { stroke: var(--c7); color: var(--c7); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 10px; padding: 0; list-style: none; }
.legend i { display: inline-block; width: 20px; height: 3px; border-radius: 2px; background: currentColor;
  vertical-align: 4px; margin-right: 7px; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  margin: 0 0 12px; max-width: max-content; min-width: min(100%, 330px); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; padding: 9px 12px 5px; font-weight: 600; }
th, td { padding: 6px 12px; text-align: left; vertical-align: top; border-top: 1px solid var(--grid); }
tr:first-child > * { border-top: 0; }
thead th { color: var(--soft); font-weight: 500; font-size: 13px; white-space: nowrap;
  border-bottom: 1px solid var(--rule); }
tbody th { font-weight: 500; color: var(--soft); white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.long { overflow-wrap: anywhere; min-width: 12em; }
.code { padding: 12px 16px 0; background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  columns: 300px; column-gap: 28px; }
pre { margin: 0; padding: 0 0 12px; white-space: pre-wrap; break-inside: avoid;
  font: 12.5px/1.55 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.film > img { display: block; width: 100%; max-width: 512px; margin: 0 auto; image-rendering: pixelated;
  border-radius: 3px; }
.strip { display: flex; flex-wrap: wrap; gap: 8px; margin: 10px 0 0; padding: 0 0 2px; list-style: none; }
.strip li { flex: 1 0 48px; max-width: 96px; font-size: 11.5px; color: var(--soft); text-align: center; }
.strip img { display: block; width: 100%; border-radius: 2px; }
@media (max-width: 560px) { main { padding: 20px 12px 40px; } th, td { padding: 5px 9px; }
  thead th, tbody th { white-space: normal; } .long { min-width: 0; }
  .stack thead { display: none; } .stack tr { display: block; padding: 4px 0; border-top: 1px solid var(--rule); }
  .stack tr:first-child { border-top: 0; } .stack th, .stack td { display: flex; justify-content: space-between;
    gap: 12px; border: 0; padding: 2px 9px; text-align: right; }
  .stack td::before { content: attr(data-label); color: var(--soft); text-align: left; } }
)";

std::string base64(const std::string& bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) bits = bits << 8 | (i + k < bytes.size() ? uint8_t(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out += i + k > bytes.size() ? '=' : digits[bits >> (18 - 6 * k) & 63];
  }
  return out;
}

std::string image(const Picture& picture) {
  return fmt::format("<img alt=\"{}\" src=\"data:image/png;base64,{}\"/>", escape_html(picture.caption),
                     base64(read_file(picture.path, int64_t{1} << 28)));
}

bool is_number(const std::string& cell) {
  const size_t sign = cell.rfind("\u2212", 0) == 0 ? 3 : !cell.empty() && (cell[0] == '-' || cell[0] == '+');
  return cell.empty() || cell == "-" ||
         (cell.size() > sign && std::isdigit(static_cast<unsigned char>(cell[sign])));
}

// Returns a few pictures before the last, evenly spread, with the first among them.
std::vector<Picture> earlier(const std::vector<Picture>& all) {
  std::vector<Picture> out;
  const size_t before = all.empty() ? 0 : all.size() - 1, count = std::min(before, kEarlier);
  for (size_t i = 0; i < count; ++i) out.push_back(all[i * before / count]);
  return out;
}

}  // namespace

namespace {

// Returns the lines of a table. Cells are padded to the widest of their column; each line stands between
// `open` and `close`.
std::vector<std::string> aligned(const Table& table, const char* open, const char* between,
                                 const char* close) {
  std::vector<const std::vector<std::string>*> rows = {&table.header};
  for (const auto& row : table.rows) rows.push_back(&row);
  std::vector<size_t> widths(table.header.size(), 0);
  for (const auto* row : rows)
    for (size_t i = 0; i < row->size(); ++i) widths[i] = std::max(widths[i], (*row)[i].size());
  std::vector<std::string> lines;
  for (const auto* row : rows) {
    std::string line = open;
    for (size_t i = 0; i < row->size(); ++i)
      line += i ? fmt::format("{}{:>{}}", between, (*row)[i], widths[i])
                : fmt::format("{:<{}}", (*row)[i], widths[i]);
    lines.push_back(line + close);
  }
  return lines;
}

}  // namespace

std::string plain_text(const Table& table) {
  return fmt::format("{}\n", fmt::join(aligned(table, "  ", "  ", ""), "\n"));
}

std::string markdown(const Table& table) {
  std::vector<std::string> lines = aligned(table, "| ", " | ", " |");
  std::string rule = "|---|";
  for (size_t i = 1; i < table.header.size(); ++i) rule += "--:|";
  lines.insert(lines.begin() + 1, rule);
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

Report::Report(const std::string& title, const std::string& subtitle) : title_(title) {
  body_ = fmt::format("<h1>{}</h1>\n", escape_html(title));
  if (!subtitle.empty()) body_ += fmt::format("<p class=\"soft\">{}</p>\n", escape_html(subtitle));
}

void Report::figures(const std::vector<Fact>& facts) {
  body_ += "<dl class=\"figures\">";
  for (const auto& [name, value] : facts)
    body_ += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", escape_html(name), escape_html(value));
  body_ += "</dl>\n";
}

void Report::section(const std::string& title) { body_ += fmt::format("<h2>{}</h2>\n", escape_html(title)); }

void Report::text(const std::string& paragraph) {
  body_ += fmt::format("<p>{}</p>\n", escape_html(paragraph));
}

void Report::table(const Table& table) {
  std::vector<bool> number;
  for (const auto& row : table.rows)
    for (size_t c = 0; c < row.size(); ++c) {
      if (c >= number.size()) number.push_back(true);
      number[c] = number[c] && is_number(row[c]);
    }
  const auto align = [&](size_t c) { return c < number.size() && number[c] ? " class=\"number\"" : ""; };
  // On a narrow screen a table of many columns becomes a list, with each cell beside its column's name.
  const bool stack = table.header.size() > kColumns;
  body_ += fmt::format("<div class=\"wide\"><table{}>", stack ? " class=\"stack\"" : "");
  if (!table.caption.empty()) body_ += fmt::format("<caption>{}</caption>", escape_html(table.caption));
  if (!table.header.empty()) {
    body_ += "<thead><tr>";
    for (size_t c = 0; c < table.header.size(); ++c)
      body_ += fmt::format("<th{}>{}</th>", align(c), escape_html(table.header[c]));
    body_ += "</tr></thead>";
  }
  body_ += "<tbody>";
  for (const auto& row : table.rows) {
    body_ += "<tr>";
    for (size_t c = 0; c < row.size(); ++c)
      body_ += c == 0
                   ? fmt::format("<th scope=\"row\"{}>{}</th>", align(c), escape_html(row[c]))
                   : fmt::format("<td{}{}>{}</td>", row[c].size() > 40 ? " class=\"long\"" : align(c),
                                 stack ? fmt::format(" data-label=\"{}\"", escape_html(table.header[c])) : "",
                                 escape_html(row[c]));
    body_ += "</tr>";
  }
  body_ += "</tbody></table></div>\n";
}

void Report::facts(const std::vector<Fact>& facts) {
  Table two;
  for (const auto& [name, value] : facts) two.rows.push_back({name, value});
  table(two);
}

void Report::code(const std::string& text) {
  body_ += "<div class=\"code\">";
  for (size_t from = 0, to; from < text.size(); from = to + 2) {  // a paragraph is not split between columns
    to = std::min(text.find("\n\n", from), text.size());
    body_ += fmt::format("<pre>{}</pre>", escape_html(text.substr(from, to - from)));
  }
  body_ += "</div>\n";
}

void Report::curves(const std::vector<Chart>& charts) {
  std::vector<std::string> names;
  const auto colour = [&](const std::string& name) {
    const size_t index = size_t(std::find(names.begin(), names.end(), name) - names.begin());
    if (index == names.size()) names.push_back(name);
    return int(index) % kColours;
  };
  std::string figures;
  for (const Chart& chart : charts) {
    std::vector<int> colours;
    std::string latest;
    for (const Series& series : chart.series) {
      colours.push_back(colour(series.name));
      if (!series.y.empty())
        latest += fmt::format("<span class=\"c{}\">{:.4g}</span>", colours.back(), series.y.back());
    }
    figures += fmt::format(
        "<figure><figcaption><b>{}</b>{}{}</figcaption>{}</figure>\n", escape_html(chart.title),
        has_log_scale(chart) ? "<span class=\"soft\">log scale</span>" : "", latest, svg(chart, colours));
  }
  if (names.size() > 1) {
    body_ += "<ul class=\"legend\">";
    for (size_t i = 0; i < names.size(); ++i)
      body_ += fmt::format("<li><span class=\"c{}\"><i></i></span>{}</li>", int(i) % kColours,
                           escape_html(names[i]));
    body_ += "</ul>\n";
  }
  body_ += "<div class=\"charts\">" + figures + "</div>\n";
}

void Report::scatters(const std::vector<Scatter>& scatters) {
  body_ += "<div class=\"scatters\">";
  for (const Scatter& scatter : scatters)
    body_ += fmt::format("<figure><figcaption><b>{}</b></figcaption>{}</figure>\n",
                         escape_html(scatter.title), svg(scatter));
  body_ += "</div>\n";
}

void Report::drawings(const std::vector<Drawing>& drawings) {
  body_ += "<div class=\"films\">";
  for (const Drawing& drawing : drawings)
    body_ += fmt::format("<figure><figcaption><b>{}</b></figcaption>{}</figure>\n",
                         escape_html(drawing.title), drawing.svg);
  body_ += "</div>\n";
}

void Report::pictures(const std::vector<Film>& films) {
  body_ += "<div class=\"films\">";
  for (const Film& film : films) {
    if (film.pictures.empty()) continue;
    const Picture& newest = film.pictures.back();
    body_ += fmt::format(
        "<figure class=\"film\"><figcaption><b>{}</b><span class=\"soft\">{}</span></figcaption>{}",
        escape_html(film.title), escape_html(newest.caption), image(newest));
    const std::vector<Picture> before = earlier(film.pictures);
    if (!before.empty()) {
      body_ += "<ul class=\"strip\">";
      for (const Picture& picture : before)
        body_ += fmt::format("<li>{}{}</li>", image(picture), escape_html(picture.caption));
      body_ += "</ul>";
    }
    body_ += "</figure>\n";
  }
  body_ += "</div>\n";
}

std::string Report::html() const {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"/>\n<title>{}</title>\n<style>{}</style>\n</head>\n"
      "<body>\n<main>\n{}</main>\n</body>\n</html>\n",
      escape_html(title_), kStyle, body_);
}

void Report::write(const std::string& path) const { write_file(path, html()); }

}  // namespace dae
