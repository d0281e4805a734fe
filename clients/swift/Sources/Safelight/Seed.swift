/// What a prediction starts from: 0 to 2^64-1.
///
/// JSON readers keep integers exact only up to 2^53-1, so a larger seed travels as a
/// decimal string. Both are read; each is written as the server writes it.
public struct Seed: Codable, Hashable, Sendable, ExpressibleByIntegerLiteral {
    public let value: UInt64

    private static let largestNumber: UInt64 = (1 << 53) - 1

    public init(_ value: UInt64) {
        self.value = value
    }

    public init(integerLiteral value: UInt64) {
        self.value = value
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(UInt64.self) {
            value = number
            return
        }
        guard let number = UInt64(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected a seed from 0 to 2^64-1")
        }
        value = number
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if value <= Self.largestNumber {
            try container.encode(value)
        } else {
            try container.encode(String(value))
        }
    }
}
