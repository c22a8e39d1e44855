#include "layer/member_writer.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::layer {

Status MemberWriter::add(TreeFile file, int layer) {
  TRY(cancel_.check());
  Entry& entry = file.entry;
  ++entries_;
  if (clamp_mtime_) entry.mtime.seconds = std::min(entry.mtime.seconds, *clamp_mtime_);
  if (entry.type == EntryType::kFile && file.info.st_nlink > 1) {
    const auto [first, is_first] =
        first_names_.try_emplace(Inode{layer, file.info.st_dev, file.info.st_ino}, entry.path);
    if (!is_first) {
      entry.type = EntryType::kHardLink;
      entry.link_target = first->second;
      entry.size = 0;
    }
  }
  TRY(tar_.add(entry));
  return entry.type == EntryType::kFile ? copy_content(file) : Status();
}

Status MemberWriter::copy_content(const TreeFile& file) {
  buffer_.resize(256 * 1024);
  tree_bytes_ += file.entry.size;
  for (std::int64_t left = file.entry.size; left > 0;) {
    TRY(cancel_.check());
    const auto wanted =
        static_cast<std::size_t>(std::min<std::int64_t>(left, static_cast<std::int64_t>(buffer_.size())));
    const std::size_t got = TRY(
        context(sys::read_some(file.fd.get(), buffer_.data(), wanted), "while reading {}", quoted(file.entry.path)));
    if (got == 0) return fail(Code::kAborted, "{} became shorter while it was read", quoted(file.entry.path));
    TRY(tar_.write(std::string_view(buffer_.data(), got)));
    left -= static_cast<std::int64_t>(got);
  }
  return {};
}

Status MemberWriter::add_marker(const std::string& path) {
  ++entries_;
  return tar_.add({.type = EntryType::kFile, .path = path});
}

Status MemberWriter::add_directory(const std::string& path) {
  ++entries_;
  return tar_.add({.type = EntryType::kDirectory, .path = path, .mode = 0755});
}

Result<Written> MemberWriter::finish() {
  TRY(tar_.finish());
  const oci::DiffId diff_id = TRY(output_.finish());
  return Written{.diff_id = diff_id, .plain_bytes = output_.bytes(), .tree_bytes = tree_bytes_, .entries = entries_};
}

}  // namespace slipway::layer
