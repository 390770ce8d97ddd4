def main() -> None:
    print("everywhere")
