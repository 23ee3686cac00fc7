// Decodes JPEG with libjpeg-turbo, in a build that has it. Only image.cpp uses it.
#pragma once
#include <string>

#include "data/images/image.h"

namespace dae {

// Returns the RGB pixels of a JPEG that passed check_image(). Uses the library's defaults: accurate integer
// DCT and smooth ("fancy") upsampling of chroma. Fault::data, one line, if the library cannot decode it, or
// if coded data are missing or damaged, which the library alone would fill with grey.
Image decode_jpeg(const std::string& path, const std::string& content);
std::string libjpeg_name();  // "libjpeg-turbo 2.1.5"

}  // namespace dae
