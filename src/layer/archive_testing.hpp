// For the tests of this folder: archives made by hand, trees told as text.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <map>
#include <string>
#include <string_view>

#include "layer/layer.hpp"
#include "layer/tar_format.hpp"
#include "layer/tar_reader.hpp"
#include "layer/tar_writer.hpp"
#include "sys/file.hpp"

namespace slipway::layer::testing {

/// Gives `bytes` in steps of at most `step`.
inline Source source_of(std::string bytes, std::size_t step = SIZE_MAX) {
  return
      [bytes = std::move(bytes), step, at = std::size_t{0}](char* to, std::size_t size) mutable -> Result<std::size_t> {
        const auto take = std::min({size, step, bytes.size() - at});
        std::copy_n(bytes.data() + at, take, to);
        at += take;
        return take;
      };
}

inline TarReader::Chunks chunks_of(std::string_view bytes, std::size_t step = SIZE_MAX) {
  return [bytes, step]() mutable -> Result<std::string_view> {
    const auto chunk = bytes.substr(0, step);
    bytes.remove_prefix(chunk.size());
    return chunk;
  };
}

inline Target append_to(std::string& out) {
  return [&out](std::string_view bytes) -> Status {
    out += bytes;
    return {};
  };
}

/// An archive member by member; what TarWriter would refuse is made by raw().
class Archive {
 public:
  Archive& file(std::string path, std::string content, Entry more = {.mode = 0644}) {
    more.type = EntryType::kFile;
    more.path = std::move(path);
    more.size = static_cast<std::int64_t>(content.size());
    return add(std::move(more), content);
  }
  Archive& dir(std::string path, Entry more = {.mode = 0755}) {
    more.type = EntryType::kDirectory;
    more.path = std::move(path);
    return add(std::move(more));
  }
  Archive& symlink(std::string path, std::string target) {
    return add({.type = EntryType::kSymlink, .path = std::move(path), .mode = 0777, .link_target = std::move(target)});
  }
  Archive& link(std::string path, std::string target) {
    return add({.type = EntryType::kHardLink, .path = std::move(path), .mode = 0644, .link_target = std::move(target)});
  }
  Archive& device(EntryType type, std::string path, std::uint32_t major = 0, std::uint32_t minor = 0) {
    return add({.type = type, .path = std::move(path), .mode = 0620, .dev_major = major, .dev_minor = minor});
  }
  Archive& add(Entry entry, std::string_view content = {}) {
    TarWriter writer(append_to(bytes_));
    EXPECT_TRUE(writer.add(entry));
    EXPECT_TRUE(writer.write(content));
    bytes_.append(static_cast<std::size_t>(tar_padding(static_cast<std::int64_t>(content.size()))), '\0');
    return *this;
  }
  /// A header block as it is, its checksum made right.
  Archive& raw(std::string block, std::string_view content = {}) {
    block.resize(kBlock);
    const auto sum = fmt::format("{:06o}", tar_sums(block).of_unsigned) + std::string("\0 ", 2);
    block.replace(tar_field::kChecksum.offset, tar_field::kChecksum.size, sum);
    bytes_ += block;
    bytes_ += content;
    bytes_.append(static_cast<std::size_t>(tar_padding(static_cast<std::int64_t>(content.size()))), '\0');
    return *this;
  }
  Archive& bytes(std::string_view more) {
    bytes_ += more;
    return *this;
  }
  [[nodiscard]] const std::string& open() const { return bytes_; }
  [[nodiscard]] std::string done() const { return bytes_ + std::string(2 * kBlock, '\0'); }

 private:
  std::string bytes_;
};

/// A ustar header block with fields put in as text.
class RawHeader {
 public:
  RawHeader(char type, std::string_view name, std::int64_t size = 0) {
    block_.resize(kBlock);
    put(tar_field::kName, name);
    put(tar_field::kMode, "0000644");
    put(tar_field::kSize, fmt::format("{:011o}", size));
    put(tar_field::kMagic, std::string_view("ustar\0", 6));
    put(tar_field::kVersion, "00");
    block_[tar_field::kType.offset] = type;
  }
  RawHeader& put(const TarField& where, std::string_view value) {
    block_.replace(where.offset, std::min(value.size(), where.size), value.substr(0, where.size));
    return *this;
  }
  [[nodiscard]] const std::string& block() const { return block_; }

 private:
  std::string block_;
};

/// A new file, without the fsync of sys::replace_file.
inline Status write_file(const std::string& path, std::string_view bytes) {
  const sys::Fd fd = TRY(sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  return sys::write_all(fd.get(), bytes);
}

/// A temporary directory to unpack into. Something beside it shows whether anything left it.
struct Root {
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-layer-test-");
  sys::Fd fd;
  explicit Root(const std::string& name = "root") {
    EXPECT_TRUE(sys::make_directories(dir.path() + "/" + name, 0755));
    EXPECT_TRUE(write_file(dir.path() + "/outside", "outside"));
    fd = *sys::open(dir.path() + "/" + name, O_RDONLY | O_DIRECTORY);
    path = dir.path() + "/" + name;
  }
  std::string path;
  [[nodiscard]] std::string outside() const { return dir.path() + "/outside"; }
};

inline std::string content_of(const std::string& path) { return sys::read_file(path, 1 << 26).value_or("(none)"); }

inline std::string xattr_of(const std::string& path, const std::string& name) {
  std::string value(65536, '\0');
  const auto size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  return size < 0 ? "(none)" : value.substr(0, static_cast<std::size_t>(size));
}

inline std::string describe(const std::string& path, const struct stat& info) {
  std::string text = fmt::format("{:o} {}:{}", info.st_mode, info.st_uid, info.st_gid);
  if (S_ISLNK(info.st_mode)) text += " -> " + *sys::readlink_at(AT_FDCWD, path);
  if (S_ISREG(info.st_mode)) text += fmt::format(" {} {}", info.st_size, oci::Digest::of(content_of(path)).short_hex());
  if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) text += fmt::format(" dev {:x}", info.st_rdev);
  text += fmt::format(" t{}.{:09}", info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  std::string names(65536, '\0');
  const auto size = ::llistxattr(path.c_str(), names.data(), names.size());
  std::map<std::string, std::string> attributes;
  for (const char* name = names.c_str(); name < names.c_str() + std::max<ssize_t>(size, 0);
       name += std::strlen(name) + 1)
    if (!std::string_view(name).starts_with("security.selinux")) attributes[name] = xattr_of(path, name);
  for (const auto& [name, value] : attributes) text += fmt::format(" {}={}", name, value);
  return text;
}

/// Every path below `root` with all that a layer keeps of it; hard links are told by the first name.
inline std::map<std::string, std::string> tree_of(const std::string& root) {
  std::map<std::string, std::string> tree;
  std::vector<std::string> todo = {""};
  while (!todo.empty()) {
    const std::string above = todo.back();
    todo.pop_back();
    const auto dir = *sys::open(root + "/" + above, O_RDONLY | O_DIRECTORY);
    const auto names = *sys::list_directory(dir.get(), above);
    for (const auto& name : names) {
      const std::string path = above + name;
      const auto info = *sys::lstat_at(dir.get(), name);
      tree[path] = describe(root + "/" + path, *info);
      if (S_ISDIR(info->st_mode)) todo.push_back(path + "/");
    }
  }
  std::map<ino_t, std::string> first;
  for (auto& [path, text] : tree) {
    const auto info = *sys::lstat_at(AT_FDCWD, root + "/" + path);
    if (!S_ISREG(info->st_mode) || info->st_nlink < 2) continue;
    const auto [it, is_first] = first.try_emplace(info->st_ino, path);
    if (!is_first) text = "= " + it->second;
  }
  return tree;
}

/// Paths and link targets of an archive in order, as "path" or "path -> target"; directories end in a slash.
inline std::vector<std::string> members_of(std::string_view archive) {
  TarReader reader(chunks_of(archive), {});
  std::vector<std::string> members;
  Entry entry;
  while (true) {
    const auto more = reader.next(entry);
    EXPECT_TRUE(more) << more.error().message();
    if (!more || !*more) return members;
    members.push_back(entry.link_target.empty() ? entry.path : entry.path + " -> " + entry.link_target);
  }
}

/// Unpacks with the error, if any, told by the failing test.
inline Result<Unpacked> unpack_into(int root, const std::string& archive, UnpackOptions options = {}) {
  return unpack(source_of(archive), root, options, Cancel());
}

}  // namespace slipway::layer::testing
