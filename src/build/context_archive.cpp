#include "build/context_archive.hpp"

#include <vector>

#include "base/text.hpp"
#include "build/room.hpp"
#include "layer/codec.hpp"
#include "layer/extractor.hpp"
#include "layer/tar_format.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

using namespace std::string_view_literals;

bool is_tar_header(std::string_view head) {
  if (head.size() < layer::kBlock || head[0] == '\0') return false;
  const auto& field = layer::tar_field::kChecksum;
  std::int64_t sum = 0;
  bool digits = false;
  for (const char c : head.substr(field.offset, field.size)) {
    if (c >= '0' && c <= '7') {
      sum = sum * 8 + (c - '0');
      digits = true;
    } else if (digits) {
      break;
    } else if (c != ' ') {
      return false;
    }
  }
  const layer::TarSums sums = layer::tar_sums(head);
  return digits && (sum == sums.of_unsigned || sum == sums.of_signed);
}

}  // namespace

bool looks_like_archive(std::string_view head) {
  for (const auto magic : {"\x1f\x8b\x08"sv, "BZh"sv, "\xfd\x37\x7a\x58\x5a\x00"sv, "\x28\xb5\x2f\xfd"sv})
    if (head.starts_with(magic)) return true;
  return is_tar_header(head);
}

Status unpack_archive(const layer::Source& source, const std::string& directory, const Cancel& cancel) {
  const sys::Fd root = TRY(sys::open(directory, O_RDONLY | O_DIRECTORY));
  const layer::Source plain = TRY(layer::archive_decoder(source));
  std::vector<char> buffer(256 * 1024);
  const layer::TarReader::Chunks next = [&]() -> Result<std::string_view> {
    TRY(cancel.check());
    return std::string_view(buffer.data(), TRY(plain(buffer.data(), buffer.size())));
  };
  const layer::UnpackOptions options{.ownership = layer::Ownership::kAsIs,
                                     .whiteouts = layer::Whiteouts::kLiteral,
                                     .limits = {},
                                     .owner = std::pair(0U, 0U)};
  layer::TarReader reader(next, options.limits);
  layer::Extractor extractor(root.get(), options, reader, cancel);
  Room room(directory);
  layer::Entry entry;
  while (TRY(reader.next(entry))) {
    TRY(room.take(entry.size, entry.path));
    TRY(extractor.add(entry));
  }
  TRY(read_padding(next));
  return extractor.finish();
}

Status read_padding(const layer::TarReader::Chunks& next) {
  constexpr std::size_t kLimit = 16 << 20;
  for (std::size_t padding = 0; padding < kLimit;) {
    const std::size_t size = TRY(next()).size();
    if (size == 0) break;
    padding += size;
  }
  return {};
}

layer::Source source_of_fd(int fd) {
  return [fd](char* buffer, std::size_t size) { return sys::read_some(fd, buffer, size); };
}

}  // namespace slipway::build
