#include "cli/compatibility.hpp"

#include <algorithm>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "cli/output_option.hpp"

namespace slipway::cli {
namespace {

using Check = Status (*)(std::string_view option, const std::string& value);

Error usage(std::string text) { return {Code::kUsage, std::move(text)}; }

Status any(std::string_view, const std::string&) { return {}; }

Status size(std::string_view option, const std::string& value) {
  if (value == "-1" || parse_human_size(value)) return {};
  return std::unexpected(usage(fmt::format("option --{} is a size such as 512m, not {}", option, quoted(value, 64))));
}

Status number(std::string_view option, const std::string& value) {
  if (parse_size(value)) return {};
  return std::unexpected(usage(fmt::format("option --{} is a number, not {}", option, quoted(value, 64))));
}

Status processors(std::string_view option, const std::string& value) {
  if (value.find_first_not_of("0123456789,-") == std::string::npos) return {};
  return std::unexpected(usage(fmt::format("option --{} is a list such as 0-3,5, not {}", option, quoted(value, 64))));
}

Status isolation(std::string_view, const std::string& value) {
  if (value.empty() || value == "default") return {};
  return std::unexpected(
      usage(fmt::format("option --isolation {}: RUN steps are isolated in one way only", quoted(value, 64)))
          .with_hint("leave the option out; docs/isolation.md says what a step is kept from"));
}

Status security(std::string_view, const std::string& value) {
  return std::unexpected(
      usage(fmt::format("option --security-opt {} is not in this version, and is not ignored: it is about security",
                        quoted(value, 128)))
          .with_hint("leave the option out; docs/isolation.md says what a step is kept from"));
}

Status policy(std::string_view, const std::string& value) {
  return std::unexpected(usage(fmt::format(
      "option --policy {} is not in this version, and is not ignored: it is about security", quoted(value, 128))));
}

/// Signatures of docker's content trust: false asks for them to be checked.
Status trust(std::string_view, const std::string& value) {
  if (value == "true") return {};
  return std::unexpected(
      usage("option --disable-content-trust=false asks for signatures to be checked, which this version can not do"));
}

struct Compatible {
  Option option;
  Check check;
  std::string_view note;  ///< why it changes nothing
};

constexpr std::string_view kNoLimits = "RUN steps have no limits of their own";

Option option(std::string_view name, std::string_view value, Takes takes = Takes::kValue, char letter = 0) {
  return {.name = name, .letter = letter, .takes = takes, .value = value, .help = "", .compatibility = true};
}

const std::vector<Compatible>& table() {
  constexpr auto kSwitch = Takes::kNothing;
  static const std::vector<Compatible> entries = {
      {option("builder", "NAME"), any, "there is one builder, this program"},
      {option("compress", "", kSwitch), any, "the context is not sent anywhere"},
      {option("cpu-period", "US"), number, kNoLimits},
      {option("cpu-quota", "US"), number, kNoLimits},
      {option("cpu-shares", "N", Takes::kValue, 'c'), number, kNoLimits},
      {option("cpuset-cpus", "LIST"), processors, kNoLimits},
      {option("cpuset-mems", "LIST"), processors, kNoLimits},
      {option("disable-content-trust", "", kSwitch), trust, "signatures are not checked anyway"},
      {option("force-rm", "", kSwitch), any, "there are no containers to remove"},
      {option("isolation", "MODE"), isolation, "RUN steps are isolated in one way only"},
      {option("memory", "SIZE", Takes::kValue, 'm'), size, kNoLimits},
      {option("memory-swap", "SIZE"), size, kNoLimits},
      {option("policy", "POLICY", Takes::kValues), policy, ""},
      {option("rm", "", kSwitch), any, "there are no containers to remove"},
      {option("security-opt", "OPTION", Takes::kValues), security, ""},
      {option("squash", "", kSwitch), any,
       "the layers stay as they are; a second stage with COPY --from makes one layer"},
  };
  return entries;
}

// --- attestations
Status refuse(std::string_view option, std::string_view value, std::string_view kind) {
  return std::unexpected(usage(fmt::format("option --{} {} asks for {}, which this version does not make", option,
                                           quoted(value, 256), kind))
                             .with_hint("leave the option out: an image without attestations is what is made"));
}

/// "false", "disabled=true" in a list of fields: nothing is asked for.
Result<bool> asks_for_none(std::string_view option, const std::string& value) {
  if (value.empty()) return true;
  const auto fields = csv_fields(value);
  if (!fields) return std::unexpected(usage(fmt::format("option --{}: {}", option, fields.error().what())));
  if (fields->size() == 1 && !fields->front().contains('=')) {
    if (fields->front() == "none") return true;
    return !TRY(parse_bool(fields->front(), fmt::format("option --{}", option)));
  }
  bool none = false;
  for (const auto& field : *fields) {
    const auto equals = field.find('=');
    if (equals == std::string::npos)
      return std::unexpected(usage(fmt::format("option --{}: {} is no KEY=VALUE", option, quoted(field, 128))));
    if (field.substr(0, equals) == "disabled")
      none = TRY(parse_bool(field.substr(equals + 1), fmt::format("option --{}: disabled", option)));
  }
  return none;
}

Status check_attest(const std::string& value) {
  const auto fields = csv_fields(value);
  if (!fields) return std::unexpected(usage(fmt::format("option --attest: {}", fields.error().what())));
  std::string type;
  for (const auto& field : *fields)
    if (field.starts_with("type=")) type = field.substr(5);
  if (type != "provenance" && type != "sbom")
    return std::unexpected(
        usage(fmt::format("option --attest is type=provenance or type=sbom, not {}", quoted(value, 256))));
  if (TRY(asks_for_none("attest", value))) return {};
  return refuse("attest", value, type == "sbom" ? "a bill of materials" : "a record of provenance");
}

}  // namespace

const std::vector<Option>& compatibility_options() {
  static const std::vector<Option> options = [] {
    std::vector<Option> out;
    for (const auto& entry : table()) {
      out.push_back(entry.option);
      out.back().help = entry.note.empty() ? "refused: it is about security" : entry.note;
    }
    return out;
  }();
  return options;
}

Result<std::vector<std::string>> compatibility_notes(const Arguments& arguments) {
  std::vector<std::string> notes;
  for (const auto& entry : table()) {
    const auto given = arguments.values(entry.option.name);
    for (const auto& value : given) TRY(entry.check(entry.option.name, value));
    // What is switched off, or set to nothing, asks for nothing.
    if (!given.empty() && !given.back().empty() && given.back() != "false")
      notes.push_back(fmt::format("--{} changes nothing: {}", entry.option.name, entry.note));
  }
  return notes;
}

Status check_attestations(const Arguments& arguments, const registry::Environment& environment) {
  for (const auto& value : arguments.values("attest")) TRY(check_attest(value));
  if (const auto value = arguments.value("provenance"))
    if (!TRY(asks_for_none("provenance", *value))) return refuse("provenance", *value, "a record of provenance");
  if (const auto value = arguments.value("sbom"))
    if (!TRY(asks_for_none("sbom", *value))) return refuse("sbom", *value, "a bill of materials");
  if (const auto none = environment("BUILDX_NO_DEFAULT_ATTESTATIONS"); none && !none->empty())
    (void)TRY(parse_bool(*none, "BUILDX_NO_DEFAULT_ATTESTATIONS"));
  return {};
}

}  // namespace slipway::cli
