#pragma once
// JPEG files for the tests of what reads them.

#include <cstdio>
// It needs <cstdio> before it.
#include <jpeglib.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace sinter::test {

/// `samples` is [height, width, channels]: grey, RGB or CMYK (as Adobe's programs write it: inverted).
inline std::string jpeg(std::vector<unsigned char> samples, int height, int width, int channels, int quality = 95,
                        bool progressive = false) {
  jpeg_compress_struct file{};
  jpeg_error_mgr errors{};
  file.err = jpeg_std_error(&errors);
  jpeg_create_compress(&file);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&file, &bytes, &size);
  file.image_width = static_cast<JDIMENSION>(width);
  file.image_height = static_cast<JDIMENSION>(height);
  file.input_components = channels;
  file.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&file);
  jpeg_set_quality(&file, quality, TRUE);
  file.write_Adobe_marker = channels == 4;
  if (progressive) jpeg_simple_progression(&file);
  jpeg_start_compress(&file, TRUE);
  for (int y = 0; y < height; ++y) {
    JSAMPROW row = samples.data() + y * width * channels;
    jpeg_write_scanlines(&file, &row, 1);
  }
  jpeg_finish_compress(&file);
  jpeg_destroy_compress(&file);
  const std::string out(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return out;
}

}  // namespace sinter::test
