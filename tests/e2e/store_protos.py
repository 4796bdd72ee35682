"""The StoreAPI and its friends as a foreign client knows them: public names and field numbers, and no more."""

STORE = """
syntax = "proto3";
package thanos;
import "google/protobuf/any.proto";
message Label { string name = 1; string value = 2; }
message LabelMatcher {
  enum Type { EQ = 0; NEQ = 1; RE = 2; NRE = 3; }
  Type type = 1; string name = 2; string value = 3;
}
message Chunk {
  enum Encoding { XOR = 0; HISTOGRAM = 1; FLOAT_HISTOGRAM = 2; }
  Encoding type = 1; bytes data = 2; uint64 hash = 3;
}
message AggrChunk { int64 min_time = 1; int64 max_time = 2; Chunk raw = 3; Chunk count = 4; Chunk sum = 5; }
message Series { repeated Label labels = 1; repeated AggrChunk chunks = 2; }
message SeriesBatch { repeated Series series = 1; }
message ShardInfo { int64 shard_index = 1; int64 total_shards = 2; bool by = 3; repeated string labels = 4; }
message SeriesRequest {
  int64 min_time = 1; int64 max_time = 2; repeated LabelMatcher matchers = 3; int64 max_resolution_window = 4;
  repeated int32 aggregates = 5; bool skip_chunks = 8; google.protobuf.Any hints = 9; ShardInfo shard_info = 13;
  repeated string without_replica_labels = 14; int64 limit = 15; int64 response_batch_size = 16;
}
message SeriesResponse {
  oneof result { Series series = 1; string warning = 2; google.protobuf.Any hints = 3; SeriesBatch batch = 4; }
}
message LabelNamesRequest {
  int64 start = 3; int64 end = 4; google.protobuf.Any hints = 5; repeated LabelMatcher matchers = 6;
  repeated string without_replica_labels = 7; int64 limit = 8;
}
message LabelNamesResponse { repeated string names = 1; repeated string warnings = 2; google.protobuf.Any hints = 3; }
message LabelValuesRequest {
  string label = 1; int64 start = 4; int64 end = 5; google.protobuf.Any hints = 6; repeated LabelMatcher matchers = 7;
  repeated string without_replica_labels = 8; int64 limit = 9;
}
message LabelValuesResponse { repeated string values = 1; repeated string warnings = 2; google.protobuf.Any hints = 3; }
service Store {
  rpc Series(SeriesRequest) returns (stream SeriesResponse);
  rpc LabelNames(LabelNamesRequest) returns (LabelNamesResponse);
  rpc LabelValues(LabelValuesRequest) returns (LabelValuesResponse);
}
"""

INFO = """
syntax = "proto3";
package thanos.info;
message Label { string name = 1; string value = 2; }
message LabelSet { repeated Label labels = 1; }
message TSDBInfo { LabelSet labels = 1; int64 min_time = 2; int64 max_time = 3; }
message StoreInfo {
  int64 min_time = 1; int64 max_time = 2; bool supports_sharding = 3; bool supports_without_replica_labels = 5;
  repeated TSDBInfo tsdb_infos = 6;
}
message InfoRequest {}
message InfoResponse { repeated LabelSet label_sets = 1; string ComponentType = 2; StoreInfo store = 3; }
service Info { rpc Info(InfoRequest) returns (InfoResponse); }
"""

HINTS = """
syntax = "proto3";
package hintspb;
message LabelMatcher { int32 type = 1; string name = 2; string value = 3; }
message Block { string id = 1; }
message QueryStats {
  int64 blocks_queried = 1; int64 merged_series_count = 2; int64 merged_chunks_count = 3; int64 postings_touched = 4;
  int64 series_touched = 10; int64 chunks_fetched = 17; int64 data_downloaded_size_sum = 20;
}
message SeriesRequestHints { repeated LabelMatcher block_matchers = 1; bool enable_query_stats = 2; }
message SeriesResponseHints { repeated Block queried_blocks = 1; QueryStats query_stats = 2; }
message LabelNamesResponseHints { repeated Block queried_blocks = 1; }
"""
