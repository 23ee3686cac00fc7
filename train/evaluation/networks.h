// Inception and LPIPS, loaded from weight files.
#pragma once
#include <memory>
#include <string>

#include "models/inception.h"
#include "models/lpips.h"

namespace dae {

struct InceptionNetwork {
  std::unique_ptr<Inception> model;    // frozen, with batch norm folded into the convolutions
  std::vector<InceptionLayer> layers;  // the layers that the file has weights for, in order
  std::string path, crc32;
  Device device;
  // Throws Fault::usage where the file does not reach `layer`; the line says which layers it serves.
  void require(InceptionLayer layer) const;
};
// Returns Inception with the weights of a file that uses pytorch-fid's names. A file may end early, at the
// boundary of a layer. Throws Fault::data, with the name of the first tensor that is missing or has another
// shape.
InceptionNetwork load_inception(const std::string& path, Device device);

struct LpipsNetwork {
  std::unique_ptr<Lpips> model;  // frozen
  LpipsNet net;
  std::string path, crc32;
  Device device;
};
// Returns LPIPS with the weights of a file, which decide whether the trunk is VGG16, AlexNet or SqueezeNet
// 1.1. The file holds the heads lin{i}.model.1.weight and the trunk under torchvision's names,
// features.{i}.*, or under those of the lpips package, net.slice{j}.{i}.*. Throws Fault::data as
// load_inception() does.
LpipsNetwork load_lpips(const std::string& path, Device device, Dtype dtype = Dtype::f32);

const char* name(InceptionLayer layer);  // returns "64", "192", "spatial", "768", ...

}  // namespace dae
