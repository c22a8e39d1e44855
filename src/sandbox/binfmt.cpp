#include "sandbox/binfmt.hpp"

#include <dirent.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::sandbox {
namespace {

constexpr std::int64_t kEntryLimit = 16 * 1024;  // the kernel's entries have at most some 2 KiB
constexpr std::size_t kEntries = 1000;

Result<std::string> bytes_of(std::string_view hex) {
  if (hex.size() % 2 != 0) return fail(Code::kInvalidArgument, "{} is no list of bytes", quoted(hex, 64));
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
    if (error != std::errc() || end != hex.data() + i + 2)
      return fail(Code::kInvalidArgument, "{} is no list of bytes", quoted(hex, 64));
    out += static_cast<char>(value);
  }
  return out;
}

}  // namespace

Result<BinfmtEntry> BinfmtEntry::parse(std::string name, std::string_view text) {
  BinfmtEntry out;
  out.name = std::move(name);
  for (const auto line : split(text, '\n')) {
    const auto blank = line.find(' ');
    const std::string_view key = line.substr(0, blank);
    const std::string_view value = blank == std::string_view::npos ? std::string_view() : line.substr(blank + 1);
    if (key == "enabled") out.enabled = true;
    if (key == "interpreter") out.interpreter = value;
    if (key == "flags:") out.flags = value;
    if (key == "offset") out.offset = TRY(parse_size(value));
    if (key == "magic") out.magic = TRY(bytes_of(value));
    if (key == "mask") out.mask = TRY(bytes_of(value));
  }
  if (out.magic.empty() || out.interpreter.empty())
    return fail(Code::kInvalidArgument, "the handler {} goes by no magic number", quoted(out.name, 100));
  if (out.mask.empty()) out.mask.assign(out.magic.size(), '\xff');
  if (out.mask.size() != out.magic.size())
    return fail(Code::kInvalidArgument, "the handler {} has a mask of another size than its magic number",
                quoted(out.name, 100));
  return out;
}

bool BinfmtEntry::takes(std::string_view head) const {
  if (offset > head.size() || magic.size() > head.size() - offset) return false;
  for (std::size_t i = 0; i < magic.size(); ++i)
    if ((static_cast<unsigned char>(head[offset + i] ^ magic[i]) & static_cast<unsigned char>(mask[i])) != 0)
      return false;
  return true;
}

BinfmtTable BinfmtTable::read(const std::string& directory) {
  BinfmtTable out;
  const auto status = sys::read_file(directory + "/status", kEntryLimit);
  if (!status) return out;
  out.visible = true;
  out.enabled = trim(*status) == "enabled";
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(directory.c_str()), closedir);
  if (!list) return out;
  while (const dirent* file = readdir(list.get())) {
    const std::string name = file->d_name;
    if (name == "." || name == ".." || name == "status" || name == "register" || out.entries.size() == kEntries)
      continue;
    const auto text = sys::read_file(directory + "/" + name, kEntryLimit);
    if (!text) continue;
    if (auto entry = BinfmtEntry::parse(name, *text)) out.entries.push_back(*std::move(entry));
  }
  std::ranges::sort(out.entries, {}, &BinfmtEntry::name);
  return out;
}

const BinfmtEntry* BinfmtTable::find(std::string_view head) const {
  const BinfmtEntry* best = nullptr;
  for (const auto& entry : entries)
    if (entry.takes(head) && (best == nullptr || (entry.enabled && !best->enabled))) best = &entry;
  return best;
}

}  // namespace slipway::sandbox
