#include "cli/executor/trust.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

constexpr std::int64_t kMostBytes = 32 << 20;

bool is_certificate(const std::string& name) {
  const std::string text = lower(name);
  return text.ends_with(".crt") || text.ends_with(".pem") || text.ends_with(".cer");
}

Status add_directory(const std::string& path, std::string& bundle) {
  const auto directory = sys::open(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return {};  // as Go: what is not there adds nothing
  auto names = TRY(sys::list_directory(directory->get(), path));
  std::sort(names.begin(), names.end());
  for (const auto& name : names) {
    if (!is_certificate(name)) continue;
    const auto file = sys::open_at(directory->get(), name, O_RDONLY | O_NONBLOCK);
    if (!file) continue;  // a link to nothing
    struct stat info{};
    if (::fstat(file->get(), &info) < 0 || !S_ISREG(info.st_mode)) continue;
    if (info.st_size > kMostBytes - std::ssize(bundle))
      return fail(Code::kOutOfRange, "the certificates of SSL_CERT_DIR have more than {} MiB", kMostBytes >> 20);
    bundle += TRY(sys::read_all(file->get(), kMostBytes));
    bundle += "\n";
  }
  return {};
}

}  // namespace

Result<std::optional<CertificateBundle>> CertificateBundle::gather(const registry::Environment& environment) {
  const std::string directories = environment("SSL_CERT_DIR").value_or("");
  if (directories.empty()) return std::nullopt;
  std::string bundle;
  for (const auto path : split(directories, ':'))
    if (!path.empty()) TRY(add_directory(std::string(path), bundle));
  if (trim(bundle).empty()) return std::nullopt;
  if (const std::string file = environment("SSL_CERT_FILE").value_or(""); !file.empty())
    bundle += TRY(context(sys::read_file(file, kMostBytes), "while reading SSL_CERT_FILE"));
  const std::string scratch = environment("TMPDIR").value_or("");
  CertificateBundle out(TRY(sys::TempDir::make(scratch.empty() ? "/tmp" : scratch, "slipway-certificates-")));
  TRY(sys::replace_file(out.file(), bundle, 0600));
  return std::optional(std::move(out));
}

registry::Environment with_bundle(registry::Environment environment, const std::string& file) {
  return [environment = std::move(environment), file](const std::string& name) -> std::optional<std::string> {
    if (name == "SSL_CERT_FILE") return file;
    if (name == "SSL_CERT_DIR") return std::nullopt;
    return environment(name);
  };
}

}  // namespace slipway::cli
