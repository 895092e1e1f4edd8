"""A client of fcached in pure Python, written from docs/protocol.md and docs/region.md alone.

It is an example for authors of clients in other languages: ``wire`` has the frames and the types of
fields, ``messages`` the requests and replies, ``region`` reads the shared memory, ``ring`` records
hits, ``client`` puts them together, and ``tools`` adds the messages for people and tools that came
with later versions. It needs Debian's python3-msgpack and python3-xxhash.
"""
