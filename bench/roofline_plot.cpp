#include "bench/roofline_plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ostream>

namespace mq::bench {
namespace {

constexpr double kWidth = 900, kHeight = 560, kLeft = 80, kRight = 20, kTop = 30, kBottom = 60;

// A range of powers of ten, drawn between two places.
struct Axis {
  double least, most;  // exponents
  double begin, end;   // places

  double at(double value) const { return begin + (std::log10(value) - least) / (most - least) * (end - begin); }
};

Axis axis_over(std::vector<double> values, double begin, double end) {
  std::erase_if(values, [](double v) { return !(v > 0); });
  const auto [lo, hi] = std::ranges::minmax_element(values);
  if (values.empty()) return {0, 1, begin, end};
  const double least = std::floor(std::log10(*lo)), most = std::ceil(std::log10(*hi) + 0.1);
  return {least, std::max(most, least + 1), begin, end};
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else
      out += c;
  }
  return out;
}

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return text.data();
}

void line(std::ostream& out, double x1, double y1, double x2, double y2, const char* style) {
  out << "<line x1=\"" << number(x1) << "\" y1=\"" << number(y1) << "\" x2=\"" << number(x2) << "\" y2=\"" << number(y2)
      << "\" " << style << "/>\n";
}

void label(std::ostream& out, double x, double y, const std::string& text, const char* anchor) {
  out << "<text x=\"" << number(x) << "\" y=\"" << number(y) << "\" text-anchor=\"" << anchor << "\">" << escaped(text)
      << "</text>\n";
}

void draw_grid(std::ostream& out, const Axis& x, const Axis& y) {
  constexpr const char* kGrid = "stroke=\"#ddd\"";
  for (double e = x.least; e <= x.most; ++e) {
    const double at = x.at(std::pow(10, e));
    line(out, at, y.begin, at, y.end, kGrid);
    label(out, at, y.begin + 18, number(std::pow(10, e)), "middle");
  }
  for (double e = y.least; e <= y.most; ++e) {
    const double at = y.at(std::pow(10, e));
    line(out, x.begin, at, x.end, at, kGrid);
    label(out, x.begin - 6, at + 4, number(std::pow(10, e - 9)), "end");
  }
  label(out, (x.begin + x.end) / 2, kHeight - 12, "operations per byte", "middle");
  label(out, 12, 18, "billions of operations per second", "start");
}

}  // namespace

void write_roofline(const Roofs& roofs, const std::vector<RooflinePoint>& points, std::ostream& out) {
  std::vector<double> intensities, speeds;
  for (const RooflinePoint& point : points) {
    intensities.push_back(point.intensity);
    speeds.push_back(point.speed);
  }
  double most = 0;
  for (const Roofs::Roof& roof : roofs.arithmetics) {
    speeds.push_back(roof.value);
    most = std::max(most, roof.value);
    // So far that the ridges are seen.
    for (const Roofs::Roof& bandwidth : roofs.bandwidths) intensities.push_back(roof.value / bandwidth.value);
  }
  const Axis x = axis_over(intensities, kLeft, kWidth - kRight), y = axis_over(speeds, kHeight - kBottom, kTop);
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << kWidth << ' ' << kHeight
      << "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  draw_grid(out, x, y);
  constexpr const char* kRoof = "stroke=\"#c33\" stroke-width=\"1.5\"";
  for (const Roofs::Roof& roof : roofs.bandwidths) {
    if (!(roof.value > 0)) continue;
    // From the left edge, or from the bottom, to the highest arithmetic.
    const double first = std::max(std::pow(10, x.least), std::pow(10, y.least) / roof.value);
    const double last = std::min(std::pow(10, x.most), most / roof.value);
    if (!(last > first)) continue;
    line(out, x.at(first), y.at(first * roof.value), x.at(last), y.at(last * roof.value), kRoof);
    label(out, x.at(first) + 6, y.at(first * roof.value) - 6, roof.name, "start");
  }
  for (const Roofs::Roof& roof : roofs.arithmetics) {
    if (!(roof.value > 0)) continue;
    line(out, x.begin, y.at(roof.value), x.end, y.at(roof.value), kRoof);
    label(out, x.end - 4, y.at(roof.value) - 5, roof.name, "end");
  }
  for (const RooflinePoint& point : points) {
    if (!(point.intensity > 0) || !(point.speed > 0)) continue;
    out << "<circle cx=\"" << number(x.at(point.intensity)) << "\" cy=\"" << number(y.at(point.speed))
        << "\" r=\"4\" fill=\"#36c\"><title>" << escaped(point.name) << "</title></circle>\n";
  }
  out << "</svg>\n";
}

}  // namespace mq::bench
