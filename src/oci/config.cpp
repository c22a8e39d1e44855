#include <algorithm>

#include "base/text.hpp"
#include "oci/canonical_json.hpp"
#include "oci/descriptor.hpp"
#include "oci/image.hpp"
#include "oci/json.hpp"

// The order of members is BuildKit's, so that equal images have equal ids:
// - the document's are sorted by name (architecture, author, config, created, history, os, os.features, os.version,
// rootfs,
//   variant): its exporter (exporter/containerimage/writer.go patchImageConfig) decodes the config into a Go map and
//   encodes that, and Go sorts maps;
// - `config` keeps the order of dockerspec.DockerOCIImageConfig: image-spec's User, ExposedPorts, Env, Entrypoint, Cmd,
//   Volumes, WorkingDir, Labels, StopSignal, ArgsEscaped, then Docker's Healthcheck (Test, Interval, Timeout,
//   StartPeriod, StartInterval, Retries), OnBuild, Shell; every one omitempty, `config` itself always there;
// - history: created, created_by, author, comment, empty_layer; rootfs: type, diff_ids.
// Where BuildKit writes null for want of anything (no layers, no history, no time) the schema of image-spec forbids it:
// we write [] for diff_ids and leave out the others.

namespace slipway::oci {
namespace {

constexpr std::string_view kInlineCache = "moby.buildkit.cache.v0";

using Strings = std::vector<std::string>;

/// Times outside these years have no RFC 3339 text (reading a zone's offset may lead out of them).
constexpr Timestamp kFirstTime{-62'167'219'200, 0};           // 0000-01-01T00:00:00Z
constexpr Timestamp kLastTime{253'402'300'799, 999'999'999};  // 9999-12-31T23:59:59.999999999Z

Result<std::optional<Timestamp>> read_time(const Json& json, std::string_view name) {
  const auto member = json.find(name);
  if (!member) return std::nullopt;
  const std::string_view text = TRY(member->as_string());
  const Timestamp time = TRY(context(parse_rfc3339(text), "while reading {}", member->path()));
  if (time < kFirstTime || time > kLastTime) {
    return fail(Code::kInvalidArgument, "{} is outside the years 0 to 9999: {}", member->path(), quoted(text, 64));
  }
  return time;
}

Result<Strings> read_strings(const Json& json, std::string_view name) {
  const auto member = json.find(name);
  return member ? member->as_strings() : Strings{};
}

/// A command line: absent and null are nothing; Docker also takes a string for a list of one.
Result<std::optional<Strings>> read_command(const Json& json, std::string_view name) {
  const auto member = json.find(name);
  if (!member) return std::nullopt;
  if (member->is_string()) return Strings(1, std::string(*member->as_string()));
  return TRY(member->as_strings());
}

/// {"80/tcp":{}}: the names, sorted. The values mean nothing.
Result<Strings> read_set(const Json& json, std::string_view name) {
  Strings out;
  for (const Json member : TRY(json.map(name))) out.emplace_back(member.key());
  std::sort(out.begin(), out.end());
  return out;
}

Result<Healthcheck> read_healthcheck(const Json& json) {
  TRY(json.require_object());
  TRY(json.refuse_lookalikes({"Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"}));
  Healthcheck out;
  out.test = TRY(read_strings(json, "Test"));
  out.interval = TRY(json.int63("Interval"));
  out.timeout = TRY(json.int63("Timeout"));
  out.start_period = TRY(json.int63("StartPeriod"));
  out.start_interval = TRY(json.int63("StartInterval"));
  const std::int64_t retries = TRY(json.int63("Retries"));
  if (retries > INT32_MAX)
    return fail(Code::kInvalidArgument, "{}.Retries is {}; that is too many", json.path(), retries);
  out.retries = static_cast<int>(retries);
  return out;
}

Result<RunConfig> read_run_config(const Json& json) {
  TRY(json.require_object());
  TRY(json.refuse_lookalikes({"User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
                              "StopSignal", "ArgsEscaped", "Healthcheck", "OnBuild", "Shell"}));
  RunConfig out;
  out.user = TRY(json.string("User"));
  out.exposed_ports = TRY(read_set(json, "ExposedPorts"));
  out.env = TRY(read_strings(json, "Env"));
  out.entrypoint = TRY(read_command(json, "Entrypoint"));
  out.cmd = TRY(read_command(json, "Cmd"));
  out.volumes = TRY(read_set(json, "Volumes"));
  out.working_dir = TRY(json.string("WorkingDir"));
  out.labels = TRY(read_string_map(json, "Labels"));
  out.stop_signal = TRY(json.string("StopSignal"));
  out.args_escaped = TRY(json.boolean("ArgsEscaped"));
  if (const auto check = json.find("Healthcheck")) out.healthcheck = TRY(read_healthcheck(*check));
  out.on_build = TRY(read_strings(json, "OnBuild"));
  out.shell = TRY(read_command(json, "Shell")).value_or(Strings{});
  return out;
}

Result<History> read_history(const Json& json) {
  TRY(json.require_object());
  TRY(json.refuse_lookalikes({"created", "created_by", "author", "comment", "empty_layer"}));
  History out;
  out.created = TRY(read_time(json, "created"));
  out.created_by = TRY(json.string("created_by"));
  out.author = TRY(json.string("author"));
  out.comment = TRY(json.string("comment"));
  out.empty_layer = TRY(json.boolean("empty_layer"));
  return out;
}

Result<std::vector<DiffId>> read_diff_ids(const Json& rootfs) {
  TRY(rootfs.require_object());
  TRY(rootfs.refuse_lookalikes({"type", "diff_ids"}));
  const std::string type = TRY(rootfs.string("type"));
  if (!type.empty() && type != "layers") {
    return fail(Code::kInvalidArgument, "rootfs.type is {}; only \"layers\" is known", quoted(type, 64));
  }
  const Json::Range list = TRY(rootfs.list("diff_ids"));
  if (list.size() > kLayerLimit) {
    return fail(Code::kResourceExhausted, "the image has {} layers; at most {} are taken", list.size(), kLayerLimit);
  }
  std::vector<DiffId> out;
  out.reserve(list.size());
  for (const Json element : list) {
    const std::string_view text = TRY(element.as_string());
    const Digest id = TRY(context(Digest::parse(text), "while reading {}", element.path()));
    out.push_back({id});
  }
  return out;
}

Result<ImageConfigView> read_config(const Json& json) {
  TRY(json.require_object());
  TRY(json.refuse_lookalikes({"created", "author", "config", "rootfs", "history"}));
  ImageConfigView out;
  out.created = TRY(read_time(json, "created"));
  out.author = TRY(json.string("author"));
  out.platform = TRY(read_platform(json));
  if (const auto config = json.find("config")) out.config = TRY(read_run_config(*config));
  if (const auto rootfs = json.find("rootfs")) out.diff_ids = TRY(read_diff_ids(*rootfs));
  for (const Json entry : TRY(json.list("history"))) out.history.push_back(TRY(read_history(entry)));
  if (const auto cache = json.find(kInlineCache); cache && cache->is_string())
    out.inline_cache = TRY(cache->as_string());
  return out;
}

void write_healthcheck(JsonWriter& json, const Healthcheck& check) {
  json.begin_object();
  json.nonempty("Test", check.test);
  json.nonempty("Interval", check.interval);
  json.nonempty("Timeout", check.timeout);
  json.nonempty("StartPeriod", check.start_period);
  json.nonempty("StartInterval", check.start_interval);
  json.nonempty("Retries", check.retries);
  json.end_object();
}

void write_run_config(JsonWriter& json, const RunConfig& config) {
  json.begin_object();
  json.nonempty("User", config.user);
  json.nonempty_set("ExposedPorts", config.exposed_ports);
  json.nonempty("Env", config.env);
  json.nonempty("Entrypoint", config.entrypoint.value_or(Strings{}));
  json.nonempty("Cmd", config.cmd.value_or(Strings{}));
  json.nonempty_set("Volumes", config.volumes);
  json.nonempty("WorkingDir", config.working_dir);
  json.nonempty("Labels", config.labels);
  json.nonempty("StopSignal", config.stop_signal);
  json.nonempty("ArgsEscaped", config.args_escaped);
  if (config.healthcheck) {
    json.key("Healthcheck");
    write_healthcheck(json, *config.healthcheck);
  }
  json.nonempty("OnBuild", config.on_build);
  json.nonempty("Shell", config.shell);
  json.end_object();
}

void write_history(JsonWriter& json, const History& entry) {
  json.begin_object();
  if (entry.created) json.member("created", rfc3339(*entry.created));
  json.nonempty("created_by", entry.created_by);
  json.nonempty("author", entry.author);
  json.nonempty("comment", entry.comment);
  json.nonempty("empty_layer", entry.empty_layer);
  json.end_object();
}

void write_rootfs(JsonWriter& json, const std::vector<DiffId>& diff_ids) {
  json.begin_object();
  json.member("type", "layers");
  json.key("diff_ids");
  json.begin_array();
  for (const DiffId& id : diff_ids) json.value(id.digest.text());
  json.end_array();
  json.end_object();
}

std::string write_config(const ImageConfigView& view) {
  JsonWriter json;
  json.begin_object();
  json.member("architecture", view.platform.architecture);
  json.nonempty("author", view.author);
  json.key("config");
  write_run_config(json, view.config);
  if (view.created) json.member("created", rfc3339(*view.created));
  if (!view.history.empty()) {
    json.key("history");
    json.begin_array();
    for (const History& entry : view.history) write_history(json, entry);
    json.end_array();
  }
  json.nonempty(kInlineCache, view.inline_cache);
  json.member("os", view.platform.os);
  json.nonempty("os.features", view.platform.os_features);
  json.nonempty("os.version", view.platform.os_version);
  json.key("rootfs");
  write_rootfs(json, view.diff_ids);
  json.nonempty("variant", view.platform.variant);
  json.end_object();
  return json.take();
}

void sort_unique(Strings& names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

void drop_empty(std::optional<Strings>& command) {
  if (command && command->empty()) command.reset();
}

}  // namespace

Result<ImageConfig> ImageConfig::parse(std::string raw) {
  const auto read = [&]() -> Result<ImageConfigView> {
    return read_config(TRY(Json::parse(raw, {.bytes = kConfigLimit})));
  };
  ImageConfigView view = TRY(context(read(), "while reading an image config"));
  return ImageConfig(std::move(raw), std::move(view));
}

ImageConfig ImageConfig::make(ImageConfigView view) {
  sort_unique(view.config.exposed_ports);
  sort_unique(view.config.volumes);
  drop_empty(view.config.entrypoint);
  drop_empty(view.config.cmd);
  std::string raw = write_config(view);
  return ImageConfig(std::move(raw), std::move(view));
}

}  // namespace slipway::oci
