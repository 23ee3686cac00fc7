// JPEG by libjpeg-turbo, where the build has it; for image.cpp.
#pragma once
#include <string>

#include "data/image.h"

// RGB pixels of a JPEG that check_image() let pass: accurate integer DCT and smooth ("fancy") upsampling of
// chroma, the library's defaults. Fault::data, one line, if the library cannot decode it or found coded data
// missing or damaged, which it would fill with grey.
Image decode_jpeg(const std::string& path, const std::string& content);
std::string libjpeg_name();  // "libjpeg-turbo 2.1.5"
