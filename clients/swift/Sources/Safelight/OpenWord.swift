/// A word of the wire that a later server may know more of.
///
/// Words are structs with a raw value and not enums: decoding one that was added after
/// the app was built succeeds, and it is written back as it came. Compare with the
/// constants, and keep a default branch.
public protocol OpenWord: RawRepresentable, Codable, Hashable, Sendable,
    ExpressibleByStringLiteral, CustomStringConvertible
where RawValue == String {
    init(rawValue: String)
}

extension OpenWord {
    public init(stringLiteral value: String) {
        self.init(rawValue: value)
    }

    public var description: String { rawValue }
}
