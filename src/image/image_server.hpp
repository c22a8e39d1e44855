// A registry of one image for the tests of pulls: its answers may be changed, and it counts.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "http/loopback_server.hpp"
#include "image/image_fixture.hpp"
#include "registry/base64.hpp"

namespace slipway::image::testing {

/// A registry of one image under `repository`:1, whose answers a test may change, and which counts.
class Server {
 public:
  explicit Server(const Built& built, std::string repository = "team/app")
      : repository_(std::move(repository)),
        server_([this](const http::testing::Received& r, http::testing::Connection& p) { answer(r, p); }) {
    put("manifests/1", built.manifest, built.media_type);
    put("manifests/" + built.digest().text(), built.manifest, built.media_type);
    put("blobs/" + oci::Digest::of(built.config).text(), built.config);
    for (const auto& layer : built.layers) put("blobs/" + oci::Digest::of(layer).text(), layer);
  }
  /// `repository`: another one than its own.
  void put(const std::string& path, std::string body, std::string type = "application/octet-stream",
           const std::string& repository = "") {
    answers_[place(path, repository)] = {200, std::move(body), std::move(type)};
  }
  void refuse(const std::string& path, int status, const std::string& repository = "") {
    answers_[place(path, repository)] = {status, "", ""};
  }
  /// All that it has, in another repository too.
  void also(const std::string& repository) {
    const std::string prefix = place("", "");
    const auto own = answers_;
    for (const auto& [path, answer] : own) answers_[place(path.substr(prefix.size()), repository)] = answer;
  }
  void refuse_all(int status) { status_ = status; }
  void want(const std::string& user, const std::string& password) {
    wanted_ = "Basic " + registry::base64_encode(user + ":" + password);
  }
  /// "GET manifests/1" of all requests but the ping, in order.
  std::vector<std::string> asked() const {
    std::vector<std::string> all;
    for (const auto& request : server_.received()) {
      const std::string prefix = "/v2/" + repository_ + "/";
      if (request.target == "/v2/") continue;
      all.push_back(request.method + " " +
                    (request.target.starts_with(prefix) ? request.target.substr(prefix.size()) : request.target));
    }
    return all;
  }
  std::vector<std::string> asked_since(std::size_t before) const {
    const auto all = asked();
    return {all.begin() + static_cast<std::ptrdiff_t>(std::min(before, all.size())), all.end()};
  }
  std::string authority() const { return server_.authority(); }
  const http::testing::LoopbackServer& server() const { return server_; }

 private:
  std::string place(const std::string& path, const std::string& repository) const {
    return fmt::format("/v2/{}/{}", repository.empty() ? repository_ : repository, path);
  }
  struct Answer {
    int status;
    std::string body, type;
  };
  void answer(const http::testing::Received& request, http::testing::Connection& peer) {
    if (!wanted_.empty() && request.headers.find("Authorization") != wanted_)
      return reply(request, peer, {401, "", ""}, {{"WWW-Authenticate", "Basic realm=\"x\""}});
    if (request.target == "/v2/") return reply(request, peer, {200, "{}", "application/json"});
    if (status_ != 200) return reply(request, peer, {status_, "", ""});
    const auto found = answers_.find(request.target);
    reply(request, peer, found == answers_.end() ? Answer{404, "", ""} : found->second);
  }
  static void reply(const http::testing::Received& request, http::testing::Connection& peer, const Answer& answer,
                    std::vector<http::Header> headers = {}) {
    if (!answer.type.empty()) headers.push_back({"Content-Type", answer.type});
    if (request.target.find("/manifests/") != std::string::npos && answer.status == 200)
      headers.push_back({"Docker-Content-Digest", oci::Digest::of(answer.body).text()});
    if (request.method != "HEAD") return peer.reply(answer.status, headers, answer.body);
    std::string text = fmt::format("HTTP/1.1 {} x\r\nContent-Length: {}\r\n", answer.status, answer.body.size());
    for (const auto& header : headers) text += header.name + ": " + header.value + "\r\n";
    peer.send(text + "\r\n");
  }

  std::string repository_;
  std::string wanted_;
  int status_ = 200;
  std::map<std::string, Answer> answers_;
  http::testing::LoopbackServer server_;
};

inline std::string blob(const std::string& bytes) { return "blobs/" + oci::Digest::of(bytes).text(); }

inline registry::CredentialStore joe_for(const std::vector<std::string>& registries) {
  std::string auths;
  for (const auto& name : registries)
    auths += fmt::format(R"({}"{}": {{"username": "joe", "password": "s3cret"}})", auths.empty() ? "" : ",", name);
  return registry::CredentialStore::load([&](const std::string& name) -> std::optional<std::string> {
           if (name != "DOCKER_AUTH_CONFIG") return std::nullopt;
           return R"({"auths": {)" + auths + "}}";
         })
      .value();
}

}  // namespace slipway::image::testing
