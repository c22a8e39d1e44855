#include "build/named_context.hpp"

#include "base/text.hpp"
#include "build/remote_source.hpp"
#include "oci/reference.hpp"

namespace slipway::build {

std::string canonical_context_name(std::string_view name) {
  auto reference = oci::Reference::parse(std::string(name));  // a tag may have capitals
  if (!reference) reference = oci::Reference::parse(lower(name));
  if (!reference) return lower(name);
  std::string familiar = reference->familiar();
  if (familiar.ends_with(":latest")) familiar.resize(familiar.size() - 7);
  return familiar;
}

Result<NamedContext> NamedContext::parse(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size())
    return fail(Code::kUsage, "option --build-context is NAME=VALUE, not {}", quoted(text, 256));
  NamedContext out;
  const std::string_view name = text.substr(0, equals);
  out.name = canonical_context_name(name);
  if (!oci::Reference::parse(out.name))
    return fail(Code::kUsage, "option --build-context: {} is no name of a context", quoted(name, 256));
  if (name == "context" || name == "scratch")
    return fail(Code::kUsage, "option --build-context: the name {} is reserved", name);
  out.value = text.substr(equals + 1);
  const auto take = [&](std::string_view prefix, Kind kind) {
    if (!out.value.starts_with(prefix)) return false;
    out.value.erase(0, prefix.size());
    out.kind = kind;
    return true;
  };
  if (!take("docker-image://", Kind::kImage) && !take("oci-layout://", Kind::kLayout) &&
      !take("target:", Kind::kStage) && RemoteSources::is_remote(out.value))
    out.kind = Kind::kRemote;
  if (out.value.empty())
    return fail(Code::kUsage, "option --build-context: {} says nothing behind its prefix", quoted(text, 256));
  return out;
}

LayoutAddress LayoutAddress::parse(std::string_view text) {
  LayoutAddress out;
  if (const auto at = text.rfind('@'); at != std::string_view::npos) {
    out.digest = text.substr(at + 1);
    text = text.substr(0, at);
  }
  const auto colon = text.rfind(':');
  if (colon != std::string_view::npos && text.find('/', colon) == std::string_view::npos) {
    out.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  out.directory = text;
  return out;
}

}  // namespace slipway::build
