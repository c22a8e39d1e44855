#include "layer/tar_writer.hpp"

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "layer/pax.hpp"
#include "layer/tar_format.hpp"

namespace slipway::layer {
namespace {

/// Go's isASCII: NUL does not count, since it can not stand in a header.
bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0; });
}

/// Go's toASCII: what a header can hold of a name that stands in full in its pax record.
std::string to_ascii(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), [](char c) { return c > 0; });
  return out;
}

bool fits_octal(const TarField& where, std::int64_t value) {
  return value >= 0 && value < std::int64_t{1} << (where.size - 1) * 3;
}

struct SplitPath {
  std::string_view prefix;
  std::string_view name;
};
/// Go's splitUSTARPath: a name of more than 100 bytes cut at a slash, the longest prefix that fits.
std::optional<SplitPath> split_path(std::string_view path) {
  const auto name_size = tar_field::kName.size;
  const auto prefix_size = tar_field::kPrefix.size;
  if (path.size() <= name_size || !is_ascii(path)) return std::nullopt;
  std::size_t length = path.size();
  if (length > prefix_size + 1) {
    length = prefix_size + 1;
  } else if (path[length - 1] == '/') {
    --length;
  }
  const auto slash = path.substr(0, length).rfind('/');
  if (slash == std::string_view::npos || slash == 0 || slash > prefix_size) return std::nullopt;
  const auto name = path.substr(slash + 1);
  if (name.empty() || name.size() > name_size) return std::nullopt;
  return SplitPath{path.substr(0, slash), name};
}

/// A header block under construction.
class Header {
 public:
  Header() { block_.resize(kBlock); }
  void text(const TarField& where, std::string_view value) {
    const auto shown = value.substr(0, where.size);
    std::copy(shown.begin(), shown.end(), block_.begin() + static_cast<std::ptrdiff_t>(where.offset));
    // Some readers take a V7 name with a slash at its end for a directory, whatever the pax record says (Go does the
    // same).
    if (value.size() <= where.size || shown.back() != '/') return;
    block_[where.offset + shown.find_last_not_of('/') + 1] = '\0';
  }
  void octal(const TarField& where, std::int64_t value) {
    if (!fits_octal(where, value)) value = 0;  // it stands in a pax record
    text(where, fmt::format("{:0{}o}", value, where.size - 1));
  }
  void type(char flag) { block_[tar_field::kType.offset] = flag; }
  [[nodiscard]] const std::string& seal() {
    text(tar_field::kMagic, std::string_view("ustar\0", 6));
    text(tar_field::kVersion, "00");
    text(tar_field::kChecksum, fmt::format("{:06o}", tar_sums(block_).of_unsigned) + std::string("\0 ", 2));
    return block_;
  }

 private:
  std::string block_;
};

char flag_of(EntryType type) {
  switch (type) {
    case EntryType::kFile:
      return '0';
    case EntryType::kHardLink:
      return '1';
    case EntryType::kSymlink:
      return '2';
    case EntryType::kCharDevice:
      return '3';
    case EntryType::kBlockDevice:
      return '4';
    case EntryType::kDirectory:
      return '5';
    case EntryType::kFifo:
      return '6';
  }
  std::unreachable();
}

/// Fields as the archive holds them.
struct Member {
  std::string path;
  std::map<std::string, std::string> records;  ///< pax, written when `needs_pax`
  bool needs_pax = false;
};

Result<Member> plan(const Entry& entry) {
  Member member;
  member.path = entry.path.empty() ? "." : entry.path;
  if (entry.type == EntryType::kDirectory && !member.path.ends_with('/')) member.path += '/';
  if (member.path.contains('\0') || entry.link_target.contains('\0'))
    return fail(Code::kInvalidArgument, "{} has a NUL in its name or target", quoted(entry.path));

  if (!is_ascii(member.path) || member.path.size() > tar_field::kName.size) {
    member.records["path"] = member.path;
    if (!split_path(member.path)) member.needs_pax = true;
  }
  if (!is_ascii(entry.link_target) || entry.link_target.size() > tar_field::kLink.size) {
    member.records["linkpath"] = entry.link_target;
    member.needs_pax = true;
  }
  const auto numeric = [&](const char* key, const TarField& where, std::int64_t value) {
    if (fits_octal(where, value)) return;
    member.records[key] = std::to_string(value);
    member.needs_pax = true;
  };
  numeric("uid", tar_field::kUid, entry.uid);
  numeric("gid", tar_field::kGid, entry.gid);
  numeric("size", tar_field::kSize, entry.size);
  if (entry.mtime.nanoseconds != 0 || !fits_octal(tar_field::kMtime, entry.mtime.seconds)) {
    member.records["mtime"] = pax_time(entry.mtime);
    member.needs_pax = true;
  }
  if (!fits_octal(tar_field::kMajor, entry.dev_major) || !fits_octal(tar_field::kMinor, entry.dev_minor))
    return fail(Code::kInvalidArgument, "{} has device numbers that a tar can not hold", quoted(entry.path));
  for (const auto& [name, value] : entry.xattrs) {
    if (name.empty() || name.contains('=') || name.contains('\0'))
      return fail(Code::kInvalidArgument, "{} has an attribute {} that a tar can not hold", quoted(entry.path),
                  quoted(name));
    member.records[std::string(kSchilyXattr) + name] = value;
    member.needs_pax = true;
  }
  return member;
}

/// Go's path.Join(dir, "PaxHeaders.0", file), path.Clean included as far as our own paths (no "..", no "//") need it.
std::string pax_header_name(std::string_view path) {
  const auto slash = path.rfind('/');
  std::string_view dir = slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash + 1);
  const std::string_view file = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (dir == "./") dir = {};
  std::string name = to_ascii(fmt::format("{}PaxHeaders.0{}{}", dir, file.empty() ? "" : "/", file));
  name.resize(std::min(name.size(), tar_field::kName.size));
  name.erase(name.find_last_not_of('/') + 1);
  return name;
}

void append_pax_header(const Member& member, std::string& out) {
  std::string records;
  for (const auto& [key, value] : member.records) records += pax_record(key, value);
  Header header;
  header.type('x');
  header.text(tar_field::kName, pax_header_name(member.path));
  for (const auto& where : {tar_field::kMode, tar_field::kUid, tar_field::kGid, tar_field::kMtime})
    header.octal(where, 0);
  header.octal(tar_field::kSize, static_cast<std::int64_t>(records.size()));
  out += header.seal();
  out += records;
  out.append(static_cast<std::size_t>(tar_padding(static_cast<std::int64_t>(records.size()))), '\0');
}

}  // namespace

Status TarWriter::end_content() {
  if (left_ != 0) return fail(Code::kInternal, "tar member ended {} bytes short", left_);
  if (padding_ == 0) return {};
  const std::string zeros(static_cast<std::size_t>(std::exchange(padding_, 0)), '\0');
  return target_(zeros);
}

Status TarWriter::add(const Entry& entry) {
  TRY(end_content());
  const Member member = TRY(plan(entry));
  buffer_.clear();
  if (member.needs_pax) append_pax_header(member, buffer_);
  Header header;
  header.type(flag_of(entry.type));
  const auto parts = member.needs_pax ? std::nullopt : split_path(member.path);
  header.text(tar_field::kName, parts ? std::string(parts->name) : to_ascii(member.path));
  if (parts) header.text(tar_field::kPrefix, parts->prefix);
  header.text(tar_field::kLink, to_ascii(entry.link_target));
  header.octal(tar_field::kMode, entry.mode & 07777);
  header.octal(tar_field::kUid, entry.uid);
  header.octal(tar_field::kGid, entry.gid);
  header.octal(tar_field::kSize, entry.size);
  header.octal(tar_field::kMtime, entry.mtime.seconds);
  header.octal(tar_field::kMajor, entry.dev_major);
  header.octal(tar_field::kMinor, entry.dev_minor);
  buffer_ += header.seal();
  left_ = entry.type == EntryType::kFile ? entry.size : 0;
  padding_ = tar_padding(left_);
  return target_(buffer_);
}

Status TarWriter::write(std::string_view bytes) {
  if (static_cast<std::int64_t>(bytes.size()) > left_)
    return fail(Code::kInternal, "tar member got more content than its header says");
  left_ -= static_cast<std::int64_t>(bytes.size());
  return bytes.empty() ? Status() : target_(bytes);
}

Status TarWriter::finish() {
  TRY(end_content());
  return target_(std::string(2 * kBlock, '\0'));
}

}  // namespace slipway::layer
