// Reports: the pages are well-formed, load nothing, show what the run logged, and escape every string.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "data/files/file.h"
#include "data/images/image.h"
#include "kernels/device/error.h"
#include "train/report/drawing.h"
#include "train/report/run_report.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("dae-report-" + std::to_string(getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

struct Page {
  std::string error;  // the first thing that is not well-formed
  std::vector<std::string> tags, attributes;
  std::string text;  // the text between tags, with entities resolved
};

std::string resolve(std::string text) {
  for (const auto& [entity, character] :
       {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}})
    for (size_t at = 0; (at = text.find(entity, at)) != std::string::npos; at += 1)
      text.replace(at, std::string(entity).size(), character);
  return text;
}

// Parses the strict part of HTML that is also XML: every tag is closed, every attribute has double quotes.
Page parse(const std::string& html) {
  Page page;
  std::vector<std::string> open;
  size_t at = html.find('\n') + 1;
  if (html.rfind("<!DOCTYPE html>\n", 0) != 0) page.error = "no doctype";
  while (at < html.size() && page.error.empty()) {
    const size_t tag = html.find('<', at);
    page.text += html.substr(at, tag - at);
    if (tag == std::string::npos) break;
    size_t i = tag + 1;
    const auto word = [&] {
      const size_t from = i;
      while (i < html.size() && (std::isalnum(static_cast<unsigned char>(html[i])) || html[i] == '-')) ++i;
      return html.substr(from, i - from);
    };
    const bool closing = html[i] == '/';
    if (closing) ++i;
    const std::string name = word();
    if (name.empty()) page.error = "a bare < before " + html.substr(i, 30);
    while (i < html.size() && html[i] == ' ') {
      ++i;
      const std::string attribute = word();
      if (html.compare(i, 2, "=\"") != 0) {
        page.error = name + ": attribute " + attribute + " without a quoted value";
        break;
      }
      const size_t end = html.find('"', i + 2);
      page.attributes.push_back(attribute + "=" + html.substr(i + 2, end - i - 2));
      i = end + 1;
    }
    const bool alone = html.compare(i, 2, "/>") == 0;
    if (alone) ++i;
    if (html[i] != '>' && page.error.empty()) page.error = name + ": expected >, found " + html.substr(i, 20);
    if (closing) {
      if (open.empty() || open.back() != name) page.error = "unexpected </" + name + ">";
      else open.pop_back();
    } else {
      page.tags.push_back(name);
      if (!alone) open.push_back(name);
    }
    at = i + 1;
  }
  if (page.error.empty() && !open.empty()) page.error = open.back() + " is never closed";
  page.text = resolve(page.text);
  return page;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

int64_t count(const std::vector<std::string>& all, const std::string& one) {
  return std::count(all.begin(), all.end(), one);
}

// Checks that the page fetches nothing and runs no script.
void check_self_contained(const Page& page) {
  CHECK(page.error == "");
  for (const char* tag : {"script", "link", "iframe", "object", "embed", "base", "form", "a", "use"})
    CHECK(count(page.tags, tag) == 0);
  for (const std::string& attribute : page.attributes) {
    INFO(attribute.substr(0, 100));
    CHECK(attribute.rfind("on", 0) != 0);
    CHECK(attribute.rfind("href", 0) != 0);
    if (attribute.rfind("src=", 0) == 0) CHECK(attribute.rfind("src=data:image/png;base64,", 0) == 0);
    else CHECK(!contains(attribute, "//"));
  }
  const size_t style = page.text.find("color-scheme");
  REQUIRE(style != std::string::npos);
  CHECK(!contains(page.text, "url("));
  CHECK(!contains(page.text, "@import"));
}

std::string decode_base64(const std::string& text) {
  std::string out;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    if (c == '=') break;
    const int digit = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                                             : 63;
    bits = bits << 6 | uint32_t(digit), held += 6;
    if (held >= 8) out += char(bits >> (held -= 8) & 255);
  }
  return out;
}

const std::string kHostile = R"(</pre></title><script>alert(1)</script><img src=x onerror='y'> & &lt;)";

// Writes the folder of a run of 40 steps, with stage 2 from step 20 and a hostile path in the recipe.
void make_run(const fs::path& folder, int64_t width) {
  fs::create_directories(folder / "samples");
  Recipe recipe;
  recipe.model.kind = "vaegan";
  recipe.schedule.kind = "dae";
  recipe.train.steps = 40, recipe.train.batch = 10;
  recipe.data.path = kHostile;
  std::ofstream(folder / "recipe.toml") << to_toml(recipe);
  std::ofstream metrics(folder / "metrics.jsonl"), timing(folder / "timing.jsonl");
  for (int step = 1; step <= 40; ++step) {
    metrics << "{\"step\": " << step << ", \"loss_rec\": " << 1.0 / step << ", \"<b>loss\": -1}\n";
    const bool second = step > 20;
    // The run was resumed after step 10, so its clock begins again.
    timing << "{\"step\": " << step << ", \"stage\": " << (second ? 2 : 1)
           << ", \"seconds\": " << (step <= 10 ? step : step - 10)
           << ", \"data_wait\": 0, \"trainable\": " << (second ? 1000 : 2500)
           << ", \"step_seconds\": " << (second ? 0.25 : 0.5)
           << ", \"backward_nodes\": " << (second ? 60 : 100)
           << ", \"peak_bytes\": " << (second ? 1 << 20 : 1 << 21) << "}\n";
  }
  metrics << "{\"step\": 41, \"loss_r";  // cut off by a kill
  std::ofstream(folder / "manifest.json") << R"({"kind": "folder", "count": 7, "shape": [4, 4, 3]})";
  std::ofstream(folder / "environment.jsonl") << R"({"step": 0, "program": "dae 1", "CPU": "A"})"
                                              << "\n"
                                              << R"({"step": 10, "program": "dae 1", "CPU": "B"})"
                                              << "\n";
  for (const int step : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 40}) {
    const std::vector<uint8_t> grey(size_t(width * width * 3), uint8_t(step));
    for (const char* kind : {"sample", "reconstruction"})
      save_png((folder / "samples" / fmt::format("step-{:08}-{}.png", step, kind)).string(), grey.data(),
               width, width, 3);
  }
}

}  // namespace

TEST_CASE("the parser of this test finds faults") {
  const std::string head = "<!DOCTYPE html>\n";
  CHECK(parse(head + "<p class=\"x\">a &amp; b<br/></p>").error == "");
  CHECK(parse(head + "<p>a &amp;lt; b</p>").text == "a &lt; b");
  for (const char* bad : {"<p>", "</p>", "<p><b></p></b>", "<p class=x></p>", "a < b", "<p onclick></p>"})
    CHECK(parse(head + bad).error != "");
}

TEST_CASE("the page of a run holds what it logged, and hostile strings stay text") {
  Folder temporary;
  const fs::path folder = temporary.path / R"(a"><script>x<script>&'b)";
  make_run(folder, 5);
  write_run_report(folder.string());
  const Page page = parse(read_file((folder / "report.html").string()));
  check_self_contained(page);

  for (const std::string& text :
       {std::string(R"(a"><script>x<script>&'b)"), kHostile, std::string("loss_rec"), std::string("<b>loss"),
        std::string("switch = 0.5"), std::string("[4,4,3]"), std::string("from step 10"),
        std::string("stage 2")})
    CHECK_MESSAGE(contains(page.text, text), text);
  // For each stage: steps, step time, images/s, peak memory, nodes, parameters.
  CHECK(contains(page.text, "0 to 20500 ms20.02.0 MiB1002,50020 s"));
  CHECK(contains(page.text, "20 to 40250 ms40.01.0 MiB601,00020 s"));
  CHECK(count(page.tags, "svg") == 4);      // two metrics, step time, peak memory
  CHECK(count(page.tags, "img") == 2 * 7);  // the newest of each kind and six before it

  // The first picture of the page is the newest sample, byte for byte.
  const auto first = std::find_if(page.attributes.begin(), page.attributes.end(),
                                  [](const std::string& a) { return a.rfind("src=", 0) == 0; });
  REQUIRE(first != page.attributes.end());
  CHECK(decode_base64(first->substr(std::string("src=data:image/png;base64,").size())) ==
        read_file((folder / "samples/step-00000040-sample.png").string()));
}

TEST_CASE("base64 of every length modulo 3") {
  Folder temporary;
  for (const std::string& bytes : {std::string("\xff\x00\x80\x7f", 4), std::string("\xfb\xef\xbe"),
                                   std::string("ab"), std::string("a"), std::string()}) {
    const std::string path = (temporary.path / "x.png").string();
    write_file(path, bytes);
    Report report("x");
    report.pictures({{"film", {{"one", path}}}});
    const Page page = parse(report.html());
    const std::string source =
        page.attributes.back().substr(std::string("src=data:image/png;base64,").size());
    CHECK(source.size() % 4 == 0);
    CHECK(decode_base64(source) == bytes);
  }
}

TEST_CASE("runs compared: one chart a metric, a line and a row each") {
  Folder temporary;
  make_run(temporary.path / "one", 3);
  make_run(temporary.path / "two", 3);
  const std::vector<RunRecord> runs = {read_run((temporary.path / "one").string() + "/"),
                                       read_run((temporary.path / "two").string(), "<second>")};
  CHECK(runs[0].name == "one");
  CHECK(runs[0].step == 40);
  CHECK(runs[0].stages.size() == 2);
  CHECK(runs[0].stages[0].wall_seconds == 20);  // 10 s before it was resumed, 10 s after
  const std::vector<Chart> charts = metric_charts(runs);
  REQUIRE(charts.size() == 2);
  CHECK(charts[0].series.size() == 2);
  REQUIRE(charts[0].marks.size() == 1);  // the same in both runs: drawn once
  CHECK(charts[0].marks[0].x == 20);
  CHECK(stage_table(runs).rows.size() == 4);

  Report report("both");
  report.section("Curves");
  report.curves(charts);
  report.table(stage_table(runs));
  report.table({{"name", "value"}, {{"a", "1"}, {"b", "-2.5"}}, "numbers"});
  report.write((temporary.path / "both.html").string());
  const Page page = parse(read_file((temporary.path / "both.html").string()));
  check_self_contained(page);
  CHECK(contains(page.text, "<second>"));
  CHECK(count(page.attributes, "class=line c0") == 4);  // two charts, smoothed in two parts
  CHECK(count(page.attributes, "class=line c1") == 4);
}

TEST_CASE("a stage 2 branched from another run begins at its branch") {
  Folder temporary;
  make_run(temporary.path, 3);
  std::ofstream(temporary.path / "timing.jsonl") << R"({"step": 40, "stage": 2, "seconds": 3})"
                                                 << "\n";
  std::ofstream(temporary.path / "environment.jsonl") << R"({"step": 30, "program": "dae 1"})"
                                                      << "\n";
  const RunRecord run = read_run(temporary.path.string());
  REQUIRE(run.stages.size() == 1);
  CHECK(run.stages[0].from == 30);
  CHECK(run.stages[0].to == 40);
}

TEST_CASE("a folder without a recipe, and a page that cannot be written, are one clear line") {
  Folder temporary;
  CHECK_THROWS_AS(write_run_report(temporary.path.string()), Error);
  CHECK_THROWS_AS(Report("x").write("/proc/none/report.html"), Error);
}

TEST_CASE("charts: scale, thinning, smoothing") {
  Chart chart{"x", {{"a", {}, {}}}, {}, false};
  for (int i = 0; i < 10000; ++i) {
    chart.series[0].x.push_back(i);
    chart.series[0].y.push_back(i == 5001 ? 100 : i % 2);
  }
  CHECK(!has_log_scale(chart));  // it has zeros
  Page page = parse("<!DOCTYPE html>\n" + svg(chart, {3}));
  CHECK(page.error == "");
  const auto line = std::find_if(page.attributes.begin(), page.attributes.end(), [](const std::string& a) {
    return a.rfind("d=", 0) == 0 && std::count(a.begin(), a.end(), 'L') > 10;
  });
  REQUIRE(line != page.attributes.end());
  CHECK(std::count(line->begin(), line->end(), 'L') < 300);
  double top = 1e9;  // the spike, one point of ten thousand, is the highest of the line
  std::istringstream points(line->substr(3));
  for (double x = 0, y = 0; points >> x >> y; points.ignore(1)) top = std::min(top, y);
  CHECK(top < 20);

  Chart positive{"x", {{"a", {1, 2, 3}, {0.001, 1, 0.1}}}, {}};
  CHECK(has_log_scale(positive));
  CHECK(contains(parse("<!DOCTYPE html>\n" + svg(positive, {0})).text, "0.001"));
  positive.series[0].y[0] = 0.5;
  CHECK(!has_log_scale(positive));

  // A curve is smoothed from 40 points on, in two parts if stage 2 begins between them.
  Chart smooth{"x", {{"a", {}, {}}}, {{20, "stage 2"}}};
  for (int i = 1; i <= 39; ++i) smooth.series[0].x.push_back(i), smooth.series[0].y.push_back(i % 3);
  CHECK(count(parse("<!DOCTYPE html>\n" + svg(smooth, {0})).attributes, "class=line c0") == 1);
  smooth.series[0].x.push_back(40), smooth.series[0].y.push_back(0);
  CHECK(count(parse("<!DOCTYPE html>\n" + svg(smooth, {0})).attributes, "class=line c0") == 2);

  // The axes must work for no point, one point, a constant and values that are not finite.
  for (const Series& series : {Series{"a", {}, {}}, Series{"a", {1}, {2}}, Series{"a", {1, 2}, {0, 0}},
                               Series{"a", {1, 2, 3}, {NAN, INFINITY, 1}}}) {
    const std::string out = svg({"x", {series}, {}}, {0});
    CHECK(parse("<!DOCTYPE html>\n" + out).error == "");
    CHECK(!contains(out, "nan"));
    CHECK(!contains(out, "inf"));
  }
}

TEST_CASE("a scatter keeps its proportions; drawings; the words for curves") {
  const Scatter scatter{"<z>", {0, 10, 10, 0}, {0, 0, 1, 1}, {0, 1, 7, 8}};
  const std::string out = svg(scatter);
  CHECK(parse("<!DOCTYPE html>\n" + out).error == "");
  // The longer side fills 224 of 240, the other is in proportion, and y grows upwards.
  CHECK(contains(out, "class=\"dots c0\" d=\"M8.0 131.2h0\""));
  CHECK(contains(out, "class=\"dots c1\" d=\"M232.0 131.2h0\""));
  CHECK(contains(out, "class=\"dots c7\" d=\"M232.0 108.8h0\""));
  CHECK(contains(out, "class=\"dots c0\" d=\"M8.0 108.8h0\""));  // the ninth class has the first's colour
  CHECK(!contains(svg(Scatter{"", {1}, {1}, {0}}), "nan"));

  Report report("x");
  report.scatters({scatter, scatter});
  report.drawings(dae_drawings());
  const Page page = parse(report.html());
  check_self_contained(page);
  CHECK(count(page.tags, "svg") == 4);
  CHECK(contains(page.text, "frozen"));
}

TEST_CASE("a discriminator that has won is told of; each curve that is known has its words") {
  Folder temporary;
  make_run(temporary.path, 3);
  RunRecord run = read_run(temporary.path.string());
  REQUIRE(glossary({run}).rows.size() == 1);  // loss_rec; the program does not know the other name
  CHECK(glossary({run}).rows[0][0] == "loss_rec");
  CHECK(warning(run).empty());
  Series loss_d{"loss_d", {}, {}};
  for (int step = 1; step <= 100; ++step) loss_d.x.push_back(step), loss_d.y.push_back(step <= 90 ? 1 : 0.04);
  run.metrics.push_back(loss_d);
  CHECK(contains(warning(run), "the discriminator has won"));
  CHECK(contains(warning(run), "0.04"));
  run.metrics.back().y.back() = 0.2;  // a mean of 0.056
  CHECK(warning(run).empty());
}

TEST_CASE("dae train writes the page, the events and the environment") {
  Folder temporary;
  const std::string run = (temporary.path / "run").string();
  const std::string command =
      "'" DAE_PROGRAM
      "' train dae-vaegan-cifar10 -q --threads 1 --set data.kind=procedural --set data.count=64 "
      "--set train.batch=8 --set model.width=0.03125 --set model.z_dim=8 --set train.steps=4 --set "
      "schedule.weak=dropout --out '" +
      run + "'";
  REQUIRE(std::system(command.c_str()) == 0);
  const Page page = parse(read_file(run + "/report.html"));
  check_self_contained(page);
  for (const char* text : {"loss_d", "loss_kl", "4 of 4", "stage 2", "oneDNN", "device", "procedural"})
    CHECK_MESSAGE(contains(page.text, text), text);
  const std::string events = read_file(run + "/events.out.tfevents.dae");
  CHECK(contains(events, "images_per_second"));
  for (const char* what : {"sample", "reconstruction"})
    CHECK(contains(events, read_file(run + "/samples/step-00000004-" + what + ".png")));
  CHECK(contains(read_file(run + "/environment.jsonl"), "\"device\":\"cpu\""));
  // With the frozen encoder fewer nodes run backward, fewer parameters are trained, and, since the decoder
  // stays the same, less memory is held.
  const std::vector<StageCost> stages = read_run(run).stages;
  REQUIRE(stages.size() == 2);
  CHECK(stages[1].backward_nodes < stages[0].backward_nodes);
  CHECK(stages[1].trainable < stages[0].trainable);
  CHECK(stages[1].peak_bytes < stages[0].peak_bytes);
}

TEST_CASE("a table as text: columns as wide as their widest cell, and Markdown of it") {
  const Table table{{"", "error", "note"}, {{"VAEGAN", "0.17", "-"}, {"B", "10.5", "a longer one"}}, ""};
  CHECK(plain_text(table) ==
        "          error          note\n"
        "  VAEGAN   0.17             -\n"
        "  B        10.5  a longer one\n");
  CHECK(markdown(table) ==
        "|        | error |         note |\n"
        "|---|--:|--:|\n"
        "| VAEGAN |  0.17 |            - |\n"
        "| B      |  10.5 | a longer one |\n");
}

}  // namespace dae
