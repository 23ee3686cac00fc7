// The networks that judge, from weight files.
#pragma once
#include <memory>
#include <string>

#include "models/inception.h"
#include "models/lpips.h"

struct InceptionNetwork {
  std::unique_ptr<Inception> model;    // batch norm folded, frozen
  std::vector<InceptionLayer> layers;  // that the file's weights reach, in order
  std::string path, crc32;
  Device device;
  // Fault::usage, one line that says what the file can do instead.
  void require(InceptionLayer layer) const;
};
// pytorch-fid's names. A file may end early, at a layer boundary. Fault::data, naming the first tensor that
// is missing or of another shape.
InceptionNetwork load_inception(const std::string& path, Device device);

struct LpipsNetwork {
  std::unique_ptr<Lpips> model;  // frozen
  LpipsNet net;
  std::string path, crc32;
  Device device;
};
// The trunk is the one whose weights are there: heads lin{i}.model.1.weight and torchvision's features.{i}.*,
// or the lpips package's net.slice{j}.{i}.*.
LpipsNetwork load_lpips(const std::string& path, Device device, Dtype dtype = Dtype::f32);

const char* name(InceptionLayer layer);  // "64", "192", "spatial", "768", ...
