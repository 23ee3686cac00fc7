#ifdef DAE_LIBJPEG
#include "data/images/jpeg.h"

#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>  // before jpeglib.h, which does not include it
// after jpeglib.h
#include <jerror.h>

#include "kernels/device/error.h"

namespace dae {

namespace {

// The library reports errors through these. error_exit must not return; it leaves by longjmp, because an
// exception cannot pass through C code.
struct Errors {
  jpeg_error_mgr base;
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
};

void stop(j_common_ptr info) {
  auto* errors = reinterpret_cast<Errors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->back, 1);
}

// Level -1 is a warning. Some warnings say that the library fills in missing pixels; those are errors here.
// Others, such as extra bytes between segments, change no pixel.
void warn(j_common_ptr info, int level) {
  if (level >= 0) return;
  for (const int code : {JWRN_HIT_MARKER, JWRN_HUFF_BAD_CODE, JWRN_MUST_RESYNC, JWRN_BOGUS_PROGRESSION,
                         JWRN_ARITH_BAD_CODE, JWRN_JPEG_EOF})
    if (info->err->msg_code == code) stop(info);
}

struct Decoder {
  jpeg_decompress_struct info = {};
  Errors errors = {};
  Decoder() {
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = stop, errors.base.emit_message = warn;
  }
  ~Decoder() { jpeg_destroy_decompress(&info); }  // also valid if info is all zeros
};

// Converts one row of CMYK, four bytes a pixel, to RGB. Adobe's files hold 255 - ink. Pillow assumes that of
// all files, and so does this.
void rgb_of_cmyk(const uint8_t* from, uint8_t* to, int64_t width) {
  for (int64_t x = 0; x < width; ++x)
    for (int c = 0; c < 3; ++c) {
      const int light = from[x * 4 + 3], product = (255 - from[x * 4 + c]) * light + 128;
      to[x * 3 + c] = uint8_t(std::max(0, light - (((product >> 8) + product) >> 8)));
    }
}

// Returns false and sets errors.message if it fails. No object with a destructor may be made here: longjmp
// would skip the destructor.
bool decode(Decoder& decoder, const std::string& content, Image& out, std::vector<uint8_t>& row) {
  jpeg_decompress_struct& info = decoder.info;
  if (setjmp(decoder.errors.back)) return false;
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(content.data()), content.size());
  jpeg_read_header(&info, TRUE);
  const bool cmyk = info.num_components == 4;
  info.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info);
  out.height = info.output_height, out.width = info.output_width;
  out.bytes.resize(size_t(out.height * out.width * 3));
  row.resize(size_t(out.width * 4));
  while (info.output_scanline < info.output_height) {
    uint8_t* const to = out.bytes.data() + int64_t(info.output_scanline) * out.width * 3;
    JSAMPROW line = cmyk ? row.data() : to;
    jpeg_read_scanlines(&info, &line, 1);
    if (cmyk) rgb_of_cmyk(row.data(), to, out.width);
  }
  jpeg_finish_decompress(&info);
  return true;
}

}  // namespace

Image decode_jpeg(const std::string& path, const std::string& content) {
  Decoder decoder;
  Image out;
  std::vector<uint8_t> row;
  if (!decode(decoder, content, out, row))
    fail(Fault::data, "{}: expected an image that can be decoded, found: {}", path, decoder.errors.message);
  return out;
}

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)
std::string libjpeg_name() { return "libjpeg-turbo " TEXT_OF(LIBJPEG_TURBO_VERSION); }

}  // namespace dae
#endif
