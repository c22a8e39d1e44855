#include "httpd/parser.hpp"

#include <gtest/gtest.h>

namespace slipway::httpd {
namespace {

constexpr std::size_t kHead = 4096;
constexpr std::size_t kTarget = 256;

/// 0 when the head is taken, else the status of the refusal.
int judge(std::string_view head) {
  Parser parser(kHead, kTarget);
  const auto taken = parser.head(head);
  return taken ? 0 : taken.error().status;
}

TEST(Parser, Head) {
  Parser parser(kHead, kTarget);
  ASSERT_TRUE(parser.head(
      "PUT /v2/a?b=c HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a:  2 \r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(parser.method(), "PUT");
  EXPECT_EQ(parser.target(), "/v2/a?b=c");
  EXPECT_EQ(parser.headers("X-a"), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(parser.content_length(), 5);
  EXPECT_TRUE(parser.keep_alive());
  EXPECT_TRUE(parser.wants_continue());
  EXPECT_FALSE(parser.done());
}

TEST(Parser, NoBody) {
  Parser parser(kHead, kTarget);
  ASSERT_TRUE(parser.head("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  EXPECT_TRUE(parser.done());
  EXPECT_EQ(parser.content_length(), 0);
  EXPECT_FALSE(parser.keep_alive());
}

/// The body that `parser` makes of `bytes` given in pieces of `step`; "ERROR" when it is none.
std::string body_of(Parser& parser, std::string_view bytes, std::size_t step, std::size_t* left = nullptr) {
  std::string pending;
  std::string body;
  char buffer[7];
  while (true) {
    while (true) {
      const auto taken = parser.body(pending, buffer, sizeof buffer);
      if (!taken) return "ERROR";
      pending.erase(0, taken->consumed);
      body.append(buffer, taken->written);
      if (parser.done() || (taken->consumed == 0 && taken->written == 0)) break;
    }
    if (parser.done() || bytes.empty()) break;
    pending += bytes.substr(0, step);
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  if (left != nullptr) *left = pending.size() + bytes.size();
  return parser.done() ? body : "UNFINISHED";
}

TEST(Parser, BodiesInPiecesOfEverySize) {
  const std::string_view chunks = "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: t\r\n\r\nGET /next";
  for (std::size_t step = 1; step < chunks.size(); ++step) {
    Parser parser(kHead, kTarget);
    ASSERT_TRUE(parser.head("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"));
    EXPECT_EQ(parser.content_length(), std::nullopt);
    std::size_t left = 0;
    EXPECT_EQ(body_of(parser, chunks, step, &left), "hello, world") << step;
    EXPECT_EQ(left, std::string_view("GET /next").size()) << step;
    Parser known(kHead, kTarget);
    ASSERT_TRUE(known.head("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n"));
    EXPECT_EQ(body_of(known, "hello, worldGET /next", step, &left), "hello, world") << step;
    EXPECT_EQ(left, std::string_view("GET /next").size()) << step;
  }
}

TEST(Parser, BrokenChunks) {
  for (const std::string_view body :
       {"x\r\n", "-1\r\n", "5\r\nhelloXX5\r\nhello\r\n", "fffffffffffffffff\r\n", "5\nhello\r\n0\r\n\r\n"}) {
    Parser parser(kHead, kTarget);
    ASSERT_TRUE(parser.head("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"));
    EXPECT_EQ(body_of(parser, body, 1), "ERROR") << body;
  }
}

TEST(Parser, WhatTwoParsersCouldReadDifferentlyIsRefused) {
  const auto with = [](const std::string& lines) { return judge("PUT / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n"); };
  EXPECT_EQ(with(""), 0);
  EXPECT_EQ(with("Content-Length: 5\r\nContent-Length: 6\r\n"), 400);
  EXPECT_EQ(with("Content-Length: 5\r\nContent-Length: 5\r\n"), 400);
  EXPECT_EQ(with("Content-Length: 5\r\nX: y\r\nContent-Length: 5\r\n"), 400);
  EXPECT_EQ(with("X: a\r\n b\r\n"), 400);
  EXPECT_EQ(with("X: a\r\n\tb\r\n"), 400);
  EXPECT_EQ(with("Content-Length: 5, 6\r\n"), 400);
  EXPECT_EQ(with("Content-Length: -5\r\n"), 400);
  EXPECT_EQ(with("Content-Length: +5\r\n"), 400);
  EXPECT_EQ(with("Content-Length: 0x5\r\n"), 400);
  EXPECT_EQ(with("Content-Length: 99999999999999999999999\r\n"), 400);
  EXPECT_EQ(with("Content-Length: 9999999999999999999\r\n"), 400);
  EXPECT_EQ(with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400);
  EXPECT_EQ(with("Transfer-Encoding: gzip, chunked\r\n"), 501);
  EXPECT_GE(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(with("Transfer-Encoding: identity\r\n"), 501);
  EXPECT_EQ(with("Transfer-Encoding : chunked\r\n"), 400);
  EXPECT_EQ(with("Host: other\r\n"), 400);
  EXPECT_EQ(with("X: a\nEvil: b\r\n"), 400);
  EXPECT_EQ(with("X: a\x01\r\n"), 400);
  EXPECT_EQ(with("Expect: miracles\r\n"), 417);
  EXPECT_EQ(judge("PUT / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(judge("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(Parser, Limits) {
  EXPECT_EQ(judge("GET /" + std::string(kTarget, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"), 414);
  EXPECT_EQ(judge("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(kHead, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(judge(std::string(kHead + 1, 'a')), 431);
}

TEST(Parser, Garbage) {
  const std::string every = [] {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    return bytes;
  }();
  for (const std::string& text : std::vector<std::string>{
           "\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
           "GET / FTP/1.1\r\nHost: h\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n", every + "\r\n\r\n",
           std::string("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 28), "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"})
    EXPECT_GE(judge(text), 400) << text;
}

TEST(Parser, MayBeHead) {
  for (const char* text : {"", "G", "GET", "GET ", "PATCH /x", "M-SEARCH * ", "\r"})
    EXPECT_TRUE(may_be_head(text)) << text;
  EXPECT_FALSE(may_be_head("\x16\x03\x01"));
  EXPECT_FALSE(may_be_head("\n"));
  EXPECT_FALSE(may_be_head(std::string(33, 'A')));
}

TEST(Parser, HeadEnd) {
  EXPECT_EQ(head_end("a\r\n\r\nb", 0), 5U);
  EXPECT_EQ(head_end("a\r\n\r\nb", 4), 5U);
  EXPECT_EQ(head_end("a\r\n\r", 0), std::string_view::npos);
}

}  // namespace
}  // namespace slipway::httpd
