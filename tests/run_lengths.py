"""COCO's run lengths of a mask, written from their description."""


def encode(mask):
    """Return run lengths of a mask, and their compressed text, from their descriptions."""
    counts, value = [0], False
    for pixel in mask.T.flatten().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    text = ""
    for i, count in enumerate(counts):
        number = count - counts[i - 2] if i > 2 else count
        while True:
            low, number = number % 32, number // 32
            more = number != (-1 if low & 16 else 0)
            text += chr(48 + low + 32 * more)
            if not more:
                break
    return counts, text
