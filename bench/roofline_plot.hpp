// A roofline plot as SVG: what memory and arithmetic of this machine allow, and where the rows of a run are.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace mq::bench {

struct RooflinePoint {
  std::string name;
  double intensity = 0;  // operations per byte that has to be moved
  double speed = 0;      // operations per second
};

struct Roofs {
  struct Roof {
    std::string name;
    double value = 0;
  };
  std::vector<Roof> bandwidths;   // bytes per second
  std::vector<Roof> arithmetics;  // operations per second
};

// Both axes are logarithmic. A point's name is its title: what a viewer shows under the pointer.
void write_roofline(const Roofs& roofs, const std::vector<RooflinePoint>& points, std::ostream& out);

}  // namespace mq::bench
