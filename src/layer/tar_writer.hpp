// TarWriter: entries as a tar stream, byte for byte as Go's archive/tar writes them with Format PAX: a ustar header
// where it can hold every field, a pax header in front where it can not. Equal entries give equal bytes.
//
//   TarWriter writer(target);
//   TRY(writer.add(entry));            // then, for a file, exactly entry.size bytes:
//   TRY(writer.write(bytes));
//   TRY(writer.finish());
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "layer/entry.hpp"
#include "layer/layer.hpp"

namespace slipway::layer {

class TarWriter {
 public:
  explicit TarWriter(Target target) : target_(std::move(target)) {}

  /// A header. Directories get their trailing slash here; "" is the root and becomes "./". Fails (kInvalidArgument) on
  /// what tar can not hold, and (kInternal) when the entry before lacks content.
  [[nodiscard]] Status add(const Entry& entry);
  [[nodiscard]] Status write(std::string_view bytes);
  /// Two zero blocks. Once.
  [[nodiscard]] Status finish();

 private:
  [[nodiscard]] Status end_content();

  Target target_;
  std::string buffer_;
  std::int64_t left_ = 0;
  std::int64_t padding_ = 0;
};

}  // namespace slipway::layer
