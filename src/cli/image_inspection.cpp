#include "cli/image_inspection.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "cli/printable.hpp"

namespace slipway::cli {
namespace {

Value set_of(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  Value::Object members;
  for (const auto& name : names) members.emplace_back(name, Value::Object{});
  return members;
}

Value list_or_null(const std::optional<std::vector<std::string>>& texts) { return texts ? Value::of(*texts) : Value(); }

Value health_of(const oci::Healthcheck& check) {
  Value::Object out;
  if (!check.test.empty()) out.emplace_back("Test", Value::of(check.test));
  const auto duration = [&](const char* name, std::int64_t nanoseconds) {
    if (nanoseconds != 0) out.emplace_back(name, nanoseconds);
  };
  duration("Interval", check.interval);
  duration("Timeout", check.timeout);
  duration("StartPeriod", check.start_period);
  duration("StartInterval", check.start_interval);
  if (check.retries != 0) out.emplace_back("Retries", check.retries);
  return out;
}

/// Docker's container.Config with the members that describe no running container at their zero values.
Value config_of(const oci::RunConfig& config) {
  Value::Object out = {{"Hostname", ""},       {"Domainname", ""},      {"User", config.user},
                       {"AttachStdin", false}, {"AttachStdout", false}, {"AttachStderr", false}};
  if (!config.exposed_ports.empty()) out.emplace_back("ExposedPorts", set_of(config.exposed_ports));
  out.insert(out.end(), {{"Tty", false},
                         {"OpenStdin", false},
                         {"StdinOnce", false},
                         {"Env", config.env.empty() ? Value() : Value::of(config.env)},
                         {"Cmd", list_or_null(config.cmd)}});
  if (config.healthcheck) out.emplace_back("Healthcheck", health_of(*config.healthcheck));
  if (config.args_escaped) out.emplace_back("ArgsEscaped", true);
  out.insert(out.end(), {{"Image", ""},
                         {"Volumes", set_of(config.volumes)},
                         {"WorkingDir", config.working_dir},
                         {"Entrypoint", list_or_null(config.entrypoint)},
                         {"OnBuild", config.on_build.empty() ? Value() : Value::of(config.on_build)},
                         {"Labels", config.labels.empty() ? Value() : Value::of(config.labels)}});
  if (!config.stop_signal.empty()) out.emplace_back("StopSignal", config.stop_signal);
  if (!config.shell.empty()) out.emplace_back("Shell", Value::of(config.shell));
  return out;
}

/// Docker's Ellipsis: at most `length` characters, the last of them "…".
std::string ellipsis(const std::string& text, std::size_t length) {
  std::size_t at = 0, characters = 0, cut = 0;
  while (at < text.size()) {
    if (characters + 1 == length) cut = at;
    at += std::max<std::size_t>(1, utf8_length(std::string_view(text).substr(at)));
    ++characters;
  }
  return characters <= length ? text : text.substr(0, cut) + "…";
}

std::string one_line(std::string_view foreign) {
  std::string line(foreign);
  std::replace(line.begin(), line.end(), '\t', ' ');
  return printable(line, 1 << 20);
}

}  // namespace

Value inspection_of(const image::Details& details, const std::vector<std::string>& names) {
  const auto& view = details.config.view();
  Value::Array tags, digests;
  std::vector<std::string> seen;
  for (const auto& name : names) {
    const auto reference = oci::Reference::parse(name);
    if (!reference) continue;
    if (!reference->tag().empty()) tags.emplace_back(reference->familiar());
    const std::string digest = reference->familiar_name() + "@" + details.target.text();
    if (std::find(seen.begin(), seen.end(), digest) == seen.end()) {
      seen.push_back(digest);
      digests.emplace_back(digest);
    }
  }
  Value::Array layers;
  for (const auto& diff : view.diff_ids) layers.emplace_back(diff.digest.text());
  Value::Object out = {
      {"Id", details.config.digest().text()},
      {"RepoTags", std::move(tags)},
      {"RepoDigests", std::move(digests)},
      {"Parent", ""},
      {"Comment", view.history.empty() ? "" : view.history.back().comment},
      {"Created", view.created ? rfc3339(*view.created) : ""},
      {"DockerVersion", ""},
      {"Author", view.author},
      {"Config", config_of(view.config)},
      {"Architecture", view.platform.architecture},
  };
  if (!view.platform.variant.empty()) out.emplace_back("Variant", view.platform.variant);
  out.insert(out.end(),
             {{"Os", view.platform.os},
              {"Size", details.size},
              {"VirtualSize", details.size},
              {"RootFS", Value::Object{{"Type", "layers"}, {"Layers", std::move(layers)}}},
              {"Metadata", Value::Object{{"LastTagTime", "0001-01-01T00:00:00Z"}}},
              {"Descriptor", Value::Object{{"mediaType", details.media_type}, {"digest", details.target.text()}}}});
  return out;
}

std::vector<Value> history_rows(const image::Details& details, const std::vector<std::int64_t>& layer_sizes,
                                std::int64_t now, Truncate truncate, Human human) {
  std::vector<Value> rows;
  std::size_t layer = 0;
  for (const auto& step : details.config.view().history) {
    std::int64_t size = 0;
    if (!step.empty_layer && layer < layer_sizes.size()) size = layer_sizes[layer++];
    std::optional<std::int64_t> created;
    if (step.created) created = step.created->seconds;
    const std::string when = step.created ? rfc3339({step.created->seconds, 0}) : "N/A";
    const std::string by = one_line(step.created_by);
    rows.emplace_back(Value::Object{{"Comment", one_line(step.comment)},
                                    {"CreatedAt", when},
                                    {"CreatedBy", truncate == Truncate::kYes ? ellipsis(by, 45) : by},
                                    {"CreatedSince", human == Human::kYes ? ago(created, now) : when},
                                    {"ID", "<missing>"},
                                    {"Size", human == Human::kYes ? human_size(size) : std::to_string(size)}});
  }
  std::reverse(rows.begin(), rows.end());
  const std::string id = shown_id(details.config.digest().text(), truncate);
  if (!rows.empty()) {
    Value::Object first = *rows[0].object();
    for (auto& [key, value] : first)
      if (key == "ID") value = id;
    rows[0] = Value(std::move(first));
  }
  return rows;
}

TableShape history_table() {
  return {{{"Comment", "COMMENT"},
           {"CreatedAt", "CREATED AT"},
           {"CreatedBy", "CREATED BY"},
           {"CreatedSince", "CREATED"},
           {"ID", "IMAGE"},
           {"Size", "SIZE"}},
          "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"};
}

}  // namespace slipway::cli
